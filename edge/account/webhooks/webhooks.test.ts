import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { Webhook } from 'standardwebhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type Delivery, EventName } from '../../../shared/contract/webhooks.ts'
import { randomText } from '../../../shared/ids.ts'
import { receiver } from '../../receiver.ts'
import { call, codeOf, deliver, env, get, newAccount, patch, patience, post, remove, stopClock } from '../../testing.ts'
import type { Account } from '../account.ts'

const order = { model: 'scenes', prompt: 'a red sphere' }
const hour = 3_600_000
/** Milliseconds from the latest attempt to the next. */
const pauseOf = ({ attempts, next_attempt_at }: Delivery) => Date.parse(next_attempt_at!) - Date.parse(attempts.at(-1)!.at)
const all = EventName.options

describe('Webhooks', () => {
	let account: string
	let key: string
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
	})

	const submit = async (more: object = {}) => {
		const answer = await post('/v1/generations', key, { ...order, ...more })
		expect(answer.status).toBe(202)
		return answer.json<{ id: string; request: { seed: number } }>()
	}
	const develop = async ({ id, request }: Awaited<ReturnType<typeof submit>>) => {
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, request.seed)
		expect((await call(work, 'finish', { outcome: 'succeeded', inference_ms: 3 })).status).toBe(200)
	}
	const subscribe = async (url: string, events: readonly string[] = all) =>
		(await post('/v1/webhooks', key, { url, events })).json<{ id: string }>()
	const change = async (id: string, body: object) => (await patch(`/v1/webhooks/${id}`, key, body)).json()
	const deliveries = async (query = '') =>
		(await (await get(`/v1/webhooks/deliveries?limit=100${query}`, key)).json<{ deliveries: Delivery[] }>()).deliveries
	const settled = (check: (all: Delivery[]) => void) =>
		vi.waitFor(async () => check(await deliveries()), { timeout: 15_000, interval: 20 })
	/** Lets virtual time go on until all that is pending is due, and waits for what comes of it. */
	const goOn = async () => {
		const pending = await deliveries('&status=pending')
		vi.setSystemTime(Math.max(...pending.map(({ next_attempt_at }) => Date.parse(next_attempt_at as string))) + 1)
		await runDurableObjectAlarm(env.ACCOUNT.getByName(account))
		await settled((all) => {
			for (const { id, attempts } of pending) {
				expect(all.find((delivery) => delivery.id === id)?.attempts.length).toBeGreaterThan(attempts.length)
			}
		})
	}
	const verified = async (letter: { headers: Record<string, string>; body: string }) => {
		const { secret } = await (await get('/v1/webhooks/secret', key)).json<{ secret: string }>()
		vi.setSystemTime(Number(letter.headers['webhook-timestamp']) * 1_000)
		return new Webhook(secret).verify(letter.body, letter.headers) as { type: string; timestamp: string; data: object }
	}

	it('tell of every event, signed as Standard Webhooks asks', async () => {
		const place = receiver(randomText(8))
		await subscribe(`${place.url}/in?x=1`)
		const generation = await submit()
		await develop(generation)
		await settled((all) => expect(all.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'delivered']))
		const letters = await place.letters()
		const messages = await Promise.all(letters.map(verified))
		expect(new Set(messages.map(({ type }) => type))).toEqual(
			new Set(['generation.started', 'generation.image', 'generation.completed'])
		)
		const completed = messages.find(({ type }) => type === 'generation.completed')
		expect(completed?.data).toMatchObject({
			id: generation.id,
			images: [{ n: 0, url: expect.stringContaining('X-Amz-Signature') }]
		})
		expect(messages.find(({ type }) => type === 'generation.image')?.data).toMatchObject({ image: 0 })
		expect(JSON.stringify(messages)).not.toContain('"key"')
		expect(new Set(letters.map(({ headers }) => headers['webhook-id'])).size).toBe(3)
	})

	it('go to the generation’s own URL, which is told how it ends', async () => {
		const place = receiver(randomText(8))
		await submit()
		const { id } = await submit({ webhook: place.url })
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered', endpoint: null, generation: id }]))
		expect((await place.letters()).map(({ body }) => JSON.parse(body).type)).toEqual(['generation.canceled'])
	})

	it('tell Replicate’s receivers of each picture as it comes', async () => {
		const place = receiver(randomText(8))
		const webhook = { url: place.url, events: ['generation.image'], format: 'replicate' }
		const { id, request } = await submit({ count: 2, webhook })
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, request.seed)
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered' }]))
		const [letter] = await place.letters()
		expect(JSON.parse(letter!.body)).toMatchObject({ id, status: 'processing', output: [expect.stringContaining('/1/0.png?')] })
	})

	it('tell nothing of what was deleted', async () => {
		const place = receiver(randomText(8))
		const { id } = await submit({ webhook: place.url })
		await remove(`/v1/generations/${id}`, key)
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered' }]))
		expect((await place.letters()).map(({ body }) => JSON.parse(body))).toMatchObject([{ data: { id, deleted: true } }])
	})

	it('reach a receiver that was down for a day, every one of them', async () => {
		const place = receiver(randomText(8))
		await subscribe(place.url)
		await place.plan({ status: 500 })
		const down = Date.now()
		for (let i = 0; i < 5; i++) {
			await develop(await submit())
		}
		await settled((all) => expect(all.filter(({ attempts }) => attempts.length === 1)).toHaveLength(15))
		while (Date.now() < down + 24 * hour) {
			await goOn()
		}
		expect(await deliveries('&status=pending')).toHaveLength(15)
		await place.plan({ status: 200 })
		const refused = (await place.letters()).length
		while ((await deliveries('&status=pending')).length > 0) {
			await goOn()
		}
		const arrived = (await place.letters()).slice(refused)
		const sent = await deliveries()
		expect(arrived).toHaveLength(15)
		expect(new Set(arrived.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(sent.map(({ id }) => id)))
		for (const letter of arrived) {
			expect(all).toContain((await verified(letter)).type)
		}
		expect(sent.every(({ status }) => status === 'delivered')).toBe(true)
	})

	it('are not held up by a receiver that never answers, and neither is the account', async () => {
		const [slow, quick] = [receiver(randomText(8)), receiver(randomText(8), 'other')]
		await slow.plan({ status: 200, hang: true })
		// Three letters for each event: the second one's find a single place.
		for (let i = 0; i < 3; i++) {
			await subscribe(slow.url, ['generation.canceled'])
		}
		const { id: quickly } = await subscribe(quick.url, ['generation.canceled'])
		for (let i = 0; i < 10; i++) {
			const { id } = await submit()
			expect((await post(`/v1/generations/${id}/cancel`, key, {})).status).toBe(200)
		}
		await vi.waitFor(async () => expect(await deliveries(`&endpoint=${quickly}&status=delivered`)).toHaveLength(10), patience)
		expect(await slow.letters()).toHaveLength(4)
		expect(await quick.letters()).toHaveLength(10)
	})

	it.each([
		['a redirect is a refusal', { status: 307, headers: { location: 'https://example.com/' } }, 307],
		['an endless answer is not read', { status: 500, body: 'x'.repeat(2_000_000) }, 500]
	])('%s', async (_, plan, status) => {
		const place = receiver(randomText(8))
		await place.plan(plan)
		const { id } = await submit({ webhook: place.url })
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) => expect(all).toMatchObject([{ status: 'pending', attempts: [{ status }] }]))
		expect(await place.letters()).toHaveLength(1)
		expect(((await deliveries())[0]?.attempts[0]?.error ?? '').length).toBeLessThanOrEqual(300)
	})

	it('tell whoever has no good certificate of it', async () => {
		const { url } = receiver(randomText(8))
		const { id } = await submit({ webhook: url.replace('http:', 'https:') })
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) =>
			expect(all).toMatchObject([
				{ status: 'pending', attempts: [{ status: null, error: expect.stringContaining('certificate') }] }
			])
		)
	})

	it.each([
		[503, 'in seconds', () => '7200', 2 * hour],
		[429, 'by a date', () => new Date(Date.now() + 2 * hour + 1_000).toUTCString(), 2 * hour],
		[500, 'which does not count', () => '7200', 0.9 * 5_000]
	])('come back when a %i asks for patience %s, not before', async (status, _, later, least) => {
		const place = receiver(randomText(8))
		await place.plan({ status, headers: { 'retry-after': later() } })
		const { id } = await submit({ webhook: place.url })
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) => expect(all[0]?.attempts).toHaveLength(1))
		const pause = pauseOf((await deliveries())[0]!)
		expect(pause).toBeGreaterThanOrEqual(least)
		expect(pause).toBeLessThan(least + hour)
	})

	it('that are asked for again begin anew, and say nothing of an error once they have arrived', async () => {
		const place = receiver(randomText(8))
		await place.plan({ status: 500 })
		const { id } = await submit({ webhook: place.url })
		await post(`/v1/generations/${id}/cancel`, key, {})
		const attempted = (times: number) => settled((all) => expect(all[0]?.attempts).toHaveLength(times))
		await attempted(1)
		await goOn()
		await attempted(2)
		const replay = async () => (await post(`/v1/webhooks/deliveries/${(await deliveries())[0]!.id}/replay`, key, {})).status
		expect(await replay()).toBe(202)
		await attempted(3)
		expect(pauseOf((await deliveries())[0]!)).toBeLessThan(60_000)
		await place.plan({ status: 200, body: 'thanks' })
		expect(await replay()).toBe(202)
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered', url: place.url, next_attempt_at: null }]))
		expect((await deliveries())[0]!.attempts.at(-1)).toMatchObject({ status: 200, error: null })
	})

	it('that are asked for again while they are on their way wait for what comes of that', async () => {
		const place = receiver(randomText(8))
		await place.plan({ status: 200, hang: true })
		const { id } = await subscribe(place.url)
		const { id: message } = await (await post(`/v1/webhooks/${id}/ping`, key, {})).json<Delivery>()
		await vi.waitFor(async () => expect(await place.letters()).toHaveLength(1), patience)
		expect((await post(`/v1/webhooks/deliveries/${message}/replay`, key, {})).status).toBe(202)
		// One that is due at once and cannot be sent would have the alarm ring without end.
		const due = await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) =>
			storage.sql.exec<{ at: number }>("SELECT at FROM due WHERE kind = 'webhook'").one()
		)
		expect(due.at).toBeGreaterThan(Date.now())
		expect(await place.letters()).toHaveLength(1)
	})

	it('end with 410: the endpoint is switched off, until someone switches it on', async () => {
		const place = receiver(randomText(8))
		await place.plan({ status: 410 })
		const { id } = await subscribe(place.url, ['generation.canceled'])
		const cancel = async () => post(`/v1/generations/${(await submit()).id}/cancel`, key, {})
		await cancel()
		await settled((all) => expect(all).toMatchObject([{ status: 'failed', attempts: [{ status: 410 }] }]))
		await cancel()
		expect(await (await get(`/v1/webhooks/${id}`, key)).json()).toMatchObject({ enabled: false })
		expect(await deliveries()).toHaveLength(1)
		await place.plan({ status: 200 })
		expect(await change(id, { enabled: true })).toMatchObject({ enabled: true })
		const [failed] = await deliveries()
		expect((await post(`/v1/webhooks/deliveries/${failed?.id}/replay`, key, {})).status).toBe(202)
		await settled((all) => expect(all).toMatchObject([{ id: failed?.id, status: 'delivered', attempts: [{}, { status: 200 }] }]))
	})

	it('go on at the new URL of an endpoint whose old one ends with 410 meanwhile', async () => {
		const [old, moved] = [receiver(randomText(8)), receiver(randomText(8))]
		await old.plan({ status: 410, after: 500 })
		const { id } = await subscribe(old.url, ['generation.canceled'])
		await post(`/v1/generations/${(await submit()).id}/cancel`, key, {})
		await vi.waitFor(async () => expect(await old.letters()).toHaveLength(1), patience)
		await change(id, { url: moved.url })
		await settled((all) => expect(all).toMatchObject([{ status: 'pending', url: moved.url, attempts: [{ status: 410 }] }]))
		expect(await (await get(`/v1/webhooks/${id}`, key)).json()).toMatchObject({ enabled: true, url: moved.url })
		await goOn()
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered' }]))
		expect(await moved.letters()).toHaveLength(1)
	})

	it("end with 410 where they are a generation's own: an endpoint of the same URL is told all the same", async () => {
		const place = receiver(randomText(8))
		await place.plan({ status: 500 })
		const { id } = await subscribe(place.url, ['generation.canceled'])
		await post(`/v1/generations/${(await submit()).id}/cancel`, key, {})
		await settled((all) => expect(all).toMatchObject([{ endpoint: id, attempts: [{ status: 500 }] }]))
		await place.plan({ status: 410 })
		const generation = await submit({ webhook: { url: place.url, events: ['generation.started'] } })
		await call({ account, generation: generation.id, epoch: 1 }, 'start', { run: 'run-one-one' })
		const stand = (status: string) => (all: Delivery[]) => {
			const own = all.find(({ endpoint }) => endpoint === null)
			expect(own).toMatchObject({ status: 'failed', attempts: [{ status: 410 }] })
			expect(all.find(({ endpoint }) => endpoint === id)).toMatchObject({ status })
		}
		await settled(stand('pending'))
		await place.plan({ status: 200 })
		await goOn()
		await settled(stand('delivered'))
	})

	it('are sent again to where their endpoint is by now', async () => {
		const [old, moved] = [receiver(randomText(8)), receiver(randomText(8))]
		const { id } = await subscribe(old.url, ['generation.canceled'])
		await post(`/v1/generations/${(await submit()).id}/cancel`, key, {})
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered' }]))
		await change(id, { url: moved.url })
		const [{ id: delivery } = {} as Delivery] = await deliveries()
		await post(`/v1/webhooks/deliveries/${delivery}/replay`, key, {})
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered', url: moved.url, attempts: [{}, {}] }]))
		expect((await moved.letters()).map(({ headers }) => headers['webhook-id'])).toEqual([delivery])
		expect(await old.letters()).toHaveLength(1)
	})

	it.each([
		['removed', (id: string) => remove(`/v1/webhooks/${id}`, key)],
		['switched off', (id: string) => change(id, { enabled: false })]
	])('are sent no more once their endpoint is %s, not even what is on its way', async (_, end) => {
		const place = receiver(randomText(8))
		await place.plan({ status: 500, after: 500 })
		const { id } = await subscribe(place.url, ['generation.canceled'])
		await post(`/v1/generations/${(await submit()).id}/cancel`, key, {})
		await vi.waitFor(async () => expect(await place.letters()).toHaveLength(1), patience)
		await end(id)
		await settled((all) => expect(all).toMatchObject([{ status: 'failed', next_attempt_at: null, attempts: [{ status: 500 }] }]))
	})

	it('are signed with both secrets for a day after a rotation', async () => {
		const place = receiver(randomText(8))
		const { id } = await subscribe(place.url)
		const { secret: old } = await (await get('/v1/webhooks/secret', key)).json<{ secret: string }>()
		const rotated = await (await post('/v1/webhooks/secret/rotate', key, {})).json<{
			secret: string
			previous_expires_at: string
		}>()
		expect(old).toMatch(/^whsec_[\w+/]{43}=$/)
		expect(rotated.secret).not.toBe(old)
		const ping = async () => {
			await post(`/v1/webhooks/${id}/ping`, key, {})
			await settled((all) => expect(all.every(({ status }) => status === 'delivered')).toBe(true))
			return (await place.letters()).at(-1)!
		}
		const during = await ping()
		for (const secret of [old, rotated.secret]) {
			expect(new Webhook(secret).verify(during.body, during.headers)).toMatchObject({ type: 'ping', data: { webhook: id } })
		}
		// Once more on the same day: nobody has to hurry for that.
		const again = await (await post('/v1/webhooks/secret/rotate', key, {})).json<{ secret: string }>()
		const thrice = await ping()
		for (const secret of [old, rotated.secret, again.secret]) {
			expect(new Webhook(secret).verify(thrice.body, thrice.headers)).toMatchObject({ type: 'ping' })
		}
		vi.setSystemTime(Date.parse(rotated.previous_expires_at) + 60_000)
		const after = await ping()
		expect(() => new Webhook(old).verify(after.body, after.headers)).toThrow()
		expect(new Webhook(again.secret).verify(after.body, after.headers)).toMatchObject({ type: 'ping' })
	})

	it.each([
		['ftp://example.com/x'],
		['http://example.com/x'],
		['https://user:secret@example.com/x'],
		['https://10.0.0.1/x'],
		['https://[::ffff:7f00:1]/x'],
		['https://metadata.google.internal/x'],
		['nonsense']
	])('do not go to %s', async (url) => {
		expect(await codeOf(await post('/v1/webhooks', key, { url }))).toBe('422 invalid-request')
		expect(await codeOf(await post('/v1/generations', key, { ...order, webhook: { url } }))).toBe('422 invalid-request')
	})

	it('are one for each URL, however often it is added, with the events that were named last', async () => {
		const { id } = await subscribe('https://example.com/x')
		await change(id, { enabled: false })
		const events = ['generation.failed']
		const same = { id, url: 'https://example.com/x', events, enabled: true }
		for (const url of ['https://example.com/x', 'HTTPS://Example.com:443/x']) {
			expect(await subscribe(url, events)).toMatchObject(same)
		}
		expect(await (await get('/v1/webhooks', key)).json()).toMatchObject({ webhooks: [same] })
	})

	it('do not become two of one URL', async () => {
		const { id } = await subscribe('https://example.com/x')
		await subscribe('https://example.com/y')
		for (const url of ['https://example.com/y', 'https://example.com/./y']) {
			expect(await change(id, { url })).toMatchObject({
				status: 422,
				errors: [{ pointer: '/url', expected: 'a URL that no other webhook has', received: JSON.stringify(url) }]
			})
		}
		expect(await change(id, { url: 'https://example.com/x' })).toMatchObject({ id, url: 'https://example.com/x' })
	})

	it('are told once where the URL of an endpoint came with the generation, too', async () => {
		const place = receiver(randomText(8))
		await subscribe(place.url, ['generation.started', 'generation.canceled'])
		const { id } = await submit({ webhook: place.url.replace('http:', 'HTTP:') })
		await call({ account, generation: id, epoch: 1 }, 'start', { run: 'run-one-one' })
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) => expect(all.map(({ status }) => status)).toEqual(['delivered', 'delivered']))
		const types = (await place.letters()).map(({ body }) => JSON.parse(body).type)
		expect(types.toSorted()).toEqual(['generation.canceled', 'generation.started'])
	})

	it('are not too many', async () => {
		const { id } = await subscribe('https://example.com/x')
		for (let i = 1; i < 20; i++) {
			await subscribe(`https://example.com/x/${i}`)
		}
		expect(await codeOf(await post('/v1/webhooks', key, { url: 'https://example.com/y' }))).toBe('409 too-many-webhooks')
		expect((await post('/v1/webhooks', key, { url: 'https://example.com/x' })).status).toBe(201)
		const gone = await remove(`/v1/webhooks/${id}`, key)
		expect(gone.status).toBe(204)
		expect((await (await get('/v1/webhooks', key)).json<{ webhooks: object[] }>()).webhooks).toHaveLength(19)
	})

	it('wait for no clock that was ahead when they failed', async () => {
		const sink = receiver(account)
		await sink.plan({ status: 500 })
		const real = Date.now()
		vi.setSystemTime(real + 5 * hour)
		await subscribe(sink.url, ['generation.canceled'])
		const { id } = await submit()
		await post(`/v1/generations/${id}/cancel`, key, {})
		await settled((all) => expect(all.map(({ attempts }) => attempts.length)).toEqual([1]))
		vi.setSystemTime(real)
		await evictDurableObject(env.ACCOUNT.getByName(account))
		await sink.plan({ status: 200 })
		await settled((all) => expect(all).toMatchObject([{ status: 'delivered' }]))
	})
})
