import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { MeterEvent, SinkName } from '../../../shared/contract/meters.ts'
import { firstId } from '../../../shared/ids.ts'
import type { Plan } from '../../../test/receivers.ts'
import { type Outcome, type Reading, tellCloudEvents, tellStripe } from '../../courier/meters.ts'
import { receiver } from '../../receiver.ts'
import { call, codeOf, deliver, env, get, newAccount, patience, post, put, stopClock } from '../../testing.ts'
import type { Account } from '../account.ts'
import { Due } from '../due.ts'
import { mostLooked } from '../page.ts'
import { mostRows } from '../usage.ts'
import { Meters } from './meters.ts'

const minute = 60_000
const hour = 60 * minute
/** Where the Stripe SDK calls: the first part of its paths. */
const stripe = receiver('v1')

describe('Meters', () => {
	let account: string
	let key: string
	const admin = (path: string) => `/v1/admin/accounts/${account}/metering${path}`
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
		await nameCustomer(`cus_${account.slice(2)}`)
		await stripe.plan({ status: 200, meters: true })
	})

	const nameCustomer = async (stripe_customer: string | null) => {
		expect((await put(admin(''), env.ADMIN_TOKEN, { stripe_customer })).status).toBe(200)
	}
	const events = async (query = '') =>
		(await (await get(admin(`/events?limit=1000${query}`), env.ADMIN_TOKEN)).json<{ events: MeterEvent[] }>()).events
	const charge = async (count: number, more: object = {}) => {
		const order = { model: 'scenes', prompt: 'a red sphere', count, ...more }
		const { id, request } = await (await post('/v1/generations', key, order)).json<{ id: string; request: { seed: number } }>()
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		for (let n = 0; n < count; n++) {
			await deliver(work, n, (request.seed + n) >>> 0)
		}
		return work
	}
	/** Lets virtual time go on, and what is due then begin. */
	const pass = async (ms: number) => {
		vi.setSystemTime(Date.now() + ms)
		await runDurableObjectAlarm(env.ACCOUNT.getByName(account))
		await new Promise((resolve) => setTimeout(resolve, 50))
	}
	const untilNothingIsPending = async (step: number) => {
		while ((await events('&state=pending')).length > 0) {
			await pass(step)
		}
	}
	const counted = async () =>
		(await stripe.letters())
			.filter(({ status }) => status === 200)
			.map(({ body }) => Object.fromEntries(new URLSearchParams(body)))
			.filter((form) => form['payload[stripe_customer_id]'] === `cus_${account.slice(2)}`)

	it('count at a Stripe that fails three calls of ten exactly what was charged', async () => {
		let charged = 0
		for (let i = 0; i < 12; i++) {
			const count = 1 + (i % 4)
			await charge(count)
			charged += count
			vi.setSystemTime(Date.now() + minute)
		}
		await untilNothingIsPending(minute)
		const sent = await events('&state=sent')
		const received = await counted()
		expect(sent).toHaveLength(received.length)
		expect(new Set(received.map(({ identifier }) => identifier))).toEqual(new Set(sent.map(({ id }) => id)))
		expect(received.reduce((sum, form) => sum + Number(form['payload[value]']), 0)).toBe(charged)
		expect(sent.reduce((sum, { pictures }) => sum + pictures.length, 0)).toBe(charged)
		expect(sent.some(({ tries }) => tries > 1)).toBe(true)
	})

	it('count what one minute charged by price, whatever is not sent yet', async () => {
		await charge(1)
		await charge(2, { steps: 10 })
		await charge(3)
		const counts = (await events()).map(({ value, price }) => ({ value, price })).sort((a, b) => a.value - b.value)
		expect(counts).toEqual([
			{ value: 2, price: 1_164 },
			{ value: 4, price: 1_410 }
		])
	})

	it('are for each sink that there is when a picture is charged, though the minute began without it', async () => {
		await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage: { sql } }) => {
			const sinks: Partial<Record<SinkName, string>> = { cloudevents: account }
			const none = async (): Promise<Outcome> => ({ outcome: 'refused', text: '' })
			const meters = new Meters({ sql, due: new Due(sql), sinks: () => sinks, send: none, defer() {}, decide() {} })
			const charged = (n: number) => meters.observe({ id: 'gen_1', type: 'image', n, at: 0, model: 'scenes', price: 1 })
			charged(0)
			charged(1)
			sinks.stripe = 'cus_1'
			charged(2)
			charged(3)
			const told = meters
				.list(undefined, undefined, 9)
				.items.map(({ sink, pictures }) => [sink, ...pictures.map(({ n }) => n)].join(' '))
			expect(told.sort()).toEqual(['cloudevents 0 1', 'cloudevents 2 3', 'stripe 2 3'])
			sql.exec("DELETE FROM due WHERE kind = 'meter'")
		})
	})

	it('are listed page by page, each for itself though two sinks are told of one batch', async () => {
		const page = async (query: string) => {
			const answer = await get(admin(`/events?${query}`), env.ADMIN_TOKEN)
			const { events, next } = await answer.json<{ events: MeterEvent[]; next: string | null }>()
			return { listed: events.map(({ id, sink }) => `${id}.${sink}`), next }
		}
		await charge(1)
		await charge(1, { steps: 10 })
		await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage: { sql } }) => {
			sql.exec("INSERT INTO meter_events SELECT batch, 'cloudevents', 'sent', due_at, 1, NULL, 0, NULL FROM meter_events")
		})
		const all = await page('limit=1000')
		expect(all).toEqual({ listed: [...new Set(all.listed)].sort().reverse(), next: null })
		expect(all.listed).toHaveLength(4)
		const pages: string[][] = []
		for (let next: string | null = ''; next !== null; ) {
			const one: Awaited<ReturnType<typeof page>> = await page(`limit=1${next && `&cursor=${next}`}`)
			pages.push(one.listed)
			next = one.next
		}
		expect(pages).toEqual(all.listed.map((one) => [one]))
		const ofStripe = all.listed.filter((one) => one.endsWith('.stripe'))
		expect(await page('limit=1&state=pending')).toEqual({ listed: ofStripe.slice(0, 1), next: ofStripe[0] })
		expect(await page(`state=pending&cursor=${ofStripe[0]}`)).toEqual({ listed: ofStripe.slice(1), next: null })
		expect(await codeOf(await get(admin('/events?cursor=mtr_1'), env.ADMIN_TOKEN))).toBe('422 invalid-request')

		await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage: { sql } }) => {
			const made = `made(id) AS (SELECT '${firstId('mtr', Date.now() + minute)}' || printf('%016d', n) FROM counted)`
			const counted = `counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ${mostLooked - 2})`
			sql.exec(`WITH RECURSIVE ${counted}, ${made} INSERT INTO batches SELECT id, 0, 'scenes', 1, 1, NULL, 0 FROM made`)
			sql.exec("INSERT INTO meter_events SELECT id, 'stripe', 'sent', 0, 1, NULL, 0, NULL FROM batches WHERE minute = 0")
		})
		const first = await page('state=pending&limit=2')
		expect(first).toEqual({ listed: ofStripe.slice(0, 1), next: all.listed[1] })
		expect(await page(`state=pending&cursor=${first.next}`)).toEqual({ listed: ofStripe.slice(1), next: null })
	})

	it('are listed by pages of no more pictures than an object can hold, and of one at least', async () => {
		await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage: { sql } }) => {
			for (const [n, pictures] of [-mostRows / 2, mostRows / 2, mostRows + 1, 1].entries()) {
				const id = `mtr_${String(n).padStart(26, '0')}`
				sql.exec("INSERT INTO batches (id, minute, model, price, pictures) VALUES (?, 0, 'scenes', 1, ?)", id, pictures)
				sql.exec("INSERT INTO meter_events (batch, sink, state, due_at) VALUES (?, 'stripe', 'sent', 0)", id)
			}
		})
		const pages: number[][] = []
		for (let next: string | null = ''; next !== null; ) {
			const answer = await get(admin(`/events?limit=1000${next && `&cursor=${next}`}`), env.ADMIN_TOKEN)
			const page = await answer.json<{ events: MeterEvent[]; next: string | null }>()
			pages.push(page.events.map(({ value }) => value))
			next = page.next
		}
		expect(pages).toEqual([[1], [mostRows + 1], [mostRows / 2, -mostRows / 2]])
	})

	it('take back what was refunded, in whichever minutes it was charged, at once', async () => {
		const work = await charge(2, { count: 3, seed: 5 })
		await charge(1)
		vi.setSystemTime(Date.now() + minute)
		await deliver(work, 2, 7)
		expect((await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })).status).toBe(200)
		vi.setSystemTime(Date.now() + 2 * minute)
		const refunded = await post(`/v1/admin/accounts/${account}/generations/${work.generation}/refund`, env.ADMIN_TOKEN, {})
		expect(refunded.status).toBe(200)
		await untilNothingIsPending(minute)
		const pictures = [0, 1, 2].map((n) => ({ generation: work.generation, n }))
		expect((await events())[0]).toMatchObject({ state: 'sent', value: -3, pictures, sent_at: expect.any(String) })
		expect((await counted()).map((form) => Number(form['payload[value]'])).sort((a, b) => a - b)).toEqual([-3, 1, 3])
	})

	it('lose nothing in days of outage; only the oldest gets into doubt, is parked, and waits for a person', async () => {
		await stripe.plan({ status: 500, body: '{}' })
		for (let i = 0; i < 4; i++) {
			await charge(2)
			vi.setSystemTime(Date.now() + minute)
		}
		const began = Date.now()
		while (Date.now() < began + 24 * hour) {
			await pass(hour)
		}
		await stripe.plan({ status: 200, meters: true })
		await untilNothingIsPending(hour)
		const [parked, ...more] = await events('&state=parked')
		expect(more).toEqual([])
		expect(await events('&state=sent')).toHaveLength(3)
		const resolve = (outcome: string) => post(admin(`/events/stripe/${parked?.id}/resolve`), env.ADMIN_TOKEN, { outcome })
		expect((await resolve('lost')).status).toBe(200)
		await untilNothingIsPending(hour)
		expect((await counted()).reduce((sum, form) => sum + Number(form['payload[value]']), 0)).toBe(8)
		expect(await codeOf(await resolve('sent'))).toBe('404 not-found')
	})

	it('are told again within a second what was refused once', async () => {
		await stripe.plan({ status: 500 })
		await charge(1)
		for (const [tries, ms] of [2 * minute, 1_000].entries()) {
			await pass(ms)
			const told = { state: 'pending', tries: tries + 1, error: expect.any(String), sent_at: null }
			await vi.waitFor(async () => expect(await events()).toMatchObject([told]), patience)
		}
	})

	it('hold nothing up behind what a sink refuses of them alone', async () => {
		await stripe.plan({ status: 200, body: '{}', refuses: 'price]=1164' })
		await charge(2, { steps: 10 })
		await pass(2 * minute)
		const refused = { state: 'pending', value: 2, error: 'It is refused.' }
		await vi.waitFor(async () => expect(await events()).toMatchObject([refused]), patience)
		for (let value = 3; value < 6; value++) {
			await charge(value)
			await pass(minute)
			const told = async () => expect((await events())[0]).toMatchObject({ state: 'sent', value })
			await vi.waitFor(() => pass(1_000).then(told), patience)
		}
		expect((await events()).at(-1)).toMatchObject(refused)
		await stripe.plan({ status: 200, body: '{}' })
		await untilNothingIsPending(hour)
		expect((await counted()).map((form) => form['payload[value]'])).toEqual(['3', '4', '5', '2'])
	})

	/** Meters of an account that tell one receiver of CloudEvents, which refuses what `refuses` says. */
	const alone = (work: (at: ReturnType<typeof metersOf>) => Promise<void>) =>
		runInDurableObject(env.ACCOUNT.getByName(account), async (_: Account, { storage: { sql } }) => {
			await work(metersOf(sql))
			sql.exec("DELETE FROM due WHERE kind = 'meter'")
		})
	const metersOf = (sql: SqlStorage) => {
		const told: string[] = []
		const sink = { told, refuses: (_: Reading) => true }
		const underWay: Promise<void>[] = []
		const meters = new Meters({
			sql,
			due: new Due(sql),
			sinks: () => ({ cloudevents: account }),
			async send(_, reading) {
				told.push(reading.id)
				return { outcome: sink.refuses(reading) ? 'refused' : 'accepted', text: '' }
			},
			defer: (work) => void underWay.push(work),
			decide: (work) => work()
		})
		return {
			sink,
			meters,
			charge: (n: number, at: number, model = 'scenes') => meters.observe({ id: 'gen_1', type: 'image', n, at, model, price: 1 }),
			async run(now: number) {
				meters.run('cloudevents', now)
				await Promise.all(underWay)
			},
			states: () => meters.list(undefined, undefined, 99).items.map(({ state }) => state)
		}
	}

	it('are held up for an hour at most behind many that a sink refuses, which are told when it takes them', () =>
		alone(async ({ sink, charge, run, states }) => {
			sink.refuses = ({ model }) => model === 'bad'
			const bad = 20
			let now = 0
			const runFor = async (minutes: number) => {
				for (const until = now + minutes * minute; now < until; now += minute) {
					await run(now)
				}
			}
			for (let n = 0; n < bad; n++) {
				charge(n, now, 'bad')
				await runFor(1)
			}
			await runFor(24 * 60)
			charge(bad, now)
			await runFor(60)
			const refused = Array(bad).fill('pending')
			expect(states()).toEqual(['sent', ...refused])
			// What comes now is told as ever.
			charge(bad + 1, now)
			await runFor(3)
			expect(states()).toEqual(['sent', 'sent', ...refused])
			sink.refuses = () => false
			await runFor(120)
			expect(states()).toEqual(Array(bad + 2).fill('sent'))
			expect(new Set(sink.told.slice(-bad)).size).toBe(bad)
		}))

	it('are not all asked for at once of a sink that refuses all', () =>
		alone(async ({ sink, charge, run }) => {
			for (let n = 0; n < 100; n++) {
				charge(n, n * minute)
			}
			for (let seconds = 0; seconds < 1_800; seconds++) {
				await run(2 * hour + seconds * 1_000)
			}
			// Twice as long between each two.
			expect(new Set(sink.told).size).toBe(10)
			sink.refuses = () => false
			for (let minutes = 0; minutes < 120; minutes++) {
				await run(3 * hour + minutes * minute)
			}
			expect(new Set(sink.told).size).toBe(100)
		}))

	it('are parked where a receiver of CloudEvents has refused them for so long, and told once more where a person says so', () =>
		alone(async ({ sink, meters, charge, run, states }) => {
			const day = 24 * hour
			charge(0, 0)
			await run(2 * minute)
			await run(34 * day)
			expect([states(), sink.told.length]).toEqual([['pending'], 2])
			await run(36 * day)
			expect([states(), sink.told.length]).toEqual([['parked'], 2])
			const [id] = sink.told
			sink.refuses = () => false
			meters.resolve('cloudevents', id!, 'lost', 37 * day)
			await run(37 * day)
			expect([states(), sink.told]).toEqual([['sent'], [id, id, id]])
			// What it has not refused is told, however old.
			charge(1, 0)
			await run(90 * day)
			expect(states()).toEqual(['sent', 'sent'])
		}))

	it('hold nothing up behind what a sink has refused until it was too old', async () => {
		await stripe.plan({ status: 400, body: '{"error":{"message":"No such customer","type":"invalid_request_error"}}' })
		await charge(2)
		await pass(2 * minute)
		const refused = [{ state: 'pending', error: 'No such customer' }]
		await vi.waitFor(async () => expect(await events()).toMatchObject(refused), patience)
		await stripe.plan({ status: 200, meters: true })
		vi.setSystemTime(Date.now() + 35 * 24 * hour)
		await charge(1)
		await untilNothingIsPending(minute)
		expect(await events()).toMatchObject([
			{ state: 'sent', value: 1 },
			{ state: 'parked', value: 2, error: 'No such customer' }
		])
	})

	it('wake nobody more than once a day for a sink that is not configured any more, until Stripe would not take them', async () => {
		await charge(1)
		await charge(2, { steps: 10 })
		await nameCustomer(null)
		const untilDue = () =>
			runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) => {
				const [due] = storage.sql.exec<{ at: number }>("SELECT at FROM due WHERE kind = 'meter'").toArray()
				return due && due.at - Date.now()
			})
		for (let days = 0; days < 34; days++) {
			expect(await untilDue()).toBe(24 * hour)
			await pass(24 * hour)
		}
		expect(await events('&state=pending')).toHaveLength(2)
		await pass(24 * hour)
		await pass(0)
		const parked = { state: 'parked', tries: 0, error: 'stripe is not configured for this account.' }
		expect(await events()).toMatchObject([parked, parked])
		expect(await untilDue()).toBeUndefined()
		const resolve = async (outcome: string) => (await post(admin('/events/stripe/resolve'), env.ADMIN_TOKEN, { outcome })).json()
		expect(await resolve('lost')).toEqual({ resolved: 2 })
		await pass(0)
		await pass(0)
		expect(await events()).toMatchObject([parked, parked])
		expect(await resolve('sent')).toEqual({ resolved: 2 })
		const sent = { state: 'sent', sent_at: new Date().toISOString() }
		expect(await events()).toMatchObject([sent, sent])
		expect(await resolve('sent')).toEqual({ resolved: 0 })
	})

	it('are sent after all where a sink is configured again', async () => {
		await charge(2)
		await nameCustomer(null)
		await pass(3 * 24 * hour)
		expect(await events()).toMatchObject([{ state: 'pending', tries: 0 }])
		await nameCustomer(`cus_${account.slice(2)}`)
		await untilNothingIsPending(minute)
		expect(await events()).toMatchObject([{ state: 'sent', value: 2 }])
	})

	it.each<[string, Plan, Partial<Outcome>]>([
		[
			'a server that is down, in JSON',
			{ status: 503, body: '{"message":"upstream"}' },
			{ outcome: 'unknown', text: 'It answered 503.' }
		],
		['a door that lets nobody in, in JSON', { status: 403, body: '{}' }, { outcome: 'refused', text: 'It answered 403.' }],
		['a door that lets nobody in, in HTML', { status: 403, body: '<html>' }, { outcome: 'refused' }],
		['a page', { status: 200, body: '<html>' }, { outcome: 'unknown' }],
		['half an answer', { status: 200, body: '{"object":"billing.mete' }, { outcome: 'unknown' }],
		['nothing', { status: 200, body: 'null' }, { outcome: 'unknown' }],
		['a page elsewhere', { status: 302, headers: { location: '/elsewhere' } }, { outcome: 'refused' }]
	])('count nothing as told that was answered by %s in the place of Stripe', async (_, plan, outcome) => {
		await receiver('elsewhere').plan({ status: 200, body: '{}' })
		await stripe.plan(plan)
		const reading = { id: 'mtr_1', customer: 'cus_1', model: 'scenes', price: 100, pictures: 3, at: 0 }
		const settings = { key: 'sk_test', event: 'pictures', url: new URL(stripe.url).origin }
		expect(await tellStripe(settings, reading)).toMatchObject(outcome)
		expect(await receiver('elsewhere').letters()).toEqual([])
	})

	it('tell any receiver of CloudEvents', async () => {
		const sink = receiver(account)
		const reading = { id: 'mtr_1', customer: account, model: 'scenes', price: 100, pictures: 3, at: 0 }
		expect(await tellCloudEvents(sink.url, 'token', reading)).toEqual({ outcome: 'accepted', text: '' })
		const [letter] = await sink.letters()
		expect(letter?.headers).toMatchObject({ 'content-type': 'application/cloudevents+json', authorization: 'Bearer token' })
		expect(JSON.parse(letter?.body ?? '')).toEqual({
			specversion: '1.0',
			id: 'mtr_1',
			source: 'darkroom',
			type: 'pictures',
			subject: account,
			time: '1970-01-01T00:00:00.000Z',
			data: { value: 3, model: 'scenes', price: 100 }
		})
		await sink.plan({ status: 400 })
		expect(await tellCloudEvents(sink.url, undefined, reading)).toMatchObject({ outcome: 'refused' })
		await sink.plan({ status: 503 })
		expect(await tellCloudEvents(sink.url, undefined, reading)).toMatchObject({ outcome: 'unknown' })
		// Followed, it would be asked for with GET and without its body: a page that is there would count as a receipt.
		const page = receiver(`${account}-page`)
		await sink.plan({ status: 301, headers: { location: page.url } })
		expect(await tellCloudEvents(sink.url, 'token', reading)).toEqual({ outcome: 'refused', text: 'It answered 301.' })
		expect(await page.letters()).toEqual([])
	})
})
