import { runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest'
import { PlanName } from '../../shared/contract/account.ts'
import type { Order } from '../../shared/contract/order.ts'
import { newId, randomText } from '../../shared/ids.ts'
import { answer } from '../errors.ts'
import { archiveDifferences, archiveKey, linesOf } from '../storage/archive.ts'
import { env, random, stopClock } from '../testing.ts'
import { audit } from './audit.ts'
import { openBooks } from './books.ts'
import { Errands } from './errands.ts'
import { Meters } from './meters/meters.ts'
import { Deliveries } from './webhooks/deliveries.ts'

const day = 86_400_000
const price = 1_000
const key = 'the hash of a key'
const picture = { size: 9, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png' as const, width: 128, height: 128 }
/** 10, or a hundredth of INTERLEAVINGS. */
const lives = Math.ceil(inject('interleavings') / 100)
const steps = 150

/** What may happen around an archive; each has to, or it was not tested. */
const cases = [
	'archived',
	'R2 is out',
	'R2 was not heard of',
	'R2 has something else',
	'crashed',
	'changed meanwhile',
	'twice at once',
	'stopped'
] as const

stopClock()
beforeEach(() => void vi.spyOn(console, 'error').mockImplementation(() => {}))
afterEach(() => void vi.restoreAllMocks())

it(`has every entry once, here or there, whatever happens to R2 and to the object, in ${lives} accounts`, {
	timeout: 300_000
}, async () => {
	const seen = new Map<string, number>()
	for (let seed = 0; seed < lives; seed++) {
		vi.setSystemTime(Date.UTC(2030, 0, 1))
		const account = `t-${randomText(10)}`
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) =>
			live(account, storage, random(seed), (what) => seen.set(what, (seen.get(what) ?? 0) + 1))
		)
	}
	expect(cases.filter((what) => !seen.has(what))).toEqual([])
})

/** The life of an account, to its last archive: `steps` of whatever may happen to it, after each of which everything is recounted. */
async function live(
	account: string,
	storage: DurableObjectStorage,
	pick: (below: number) => number,
	see: (what: (typeof cases)[number]) => void
): Promise<void> {
	const { sql } = storage
	const transact = (work: () => unknown) => answer(() => storage.transactionSync(work))

	/** What else happens while an archive is on its way to R2. */
	let meanwhile: (() => void | Promise<void>) | undefined
	let faults = true
	const put: R2Bucket['put'] = async (...values: Parameters<R2Bucket['put']>) => {
		const fault = faults ? pick(6) : 9
		if (fault === 0) {
			see('R2 is out')
			throw new Error('R2 is out')
		}
		if (fault === 2) {
			see('R2 has something else')
			return (await env.BUCKET.put(values[0], (values[1] as Uint8Array).with(20, 0))) as never
		}
		const object = await env.BUCKET.put(...values)
		const work = meanwhile
		meanwhile = undefined
		await work?.()
		if (fault === 1) {
			see('R2 was not heard of')
			throw new Error('R2 was not heard of')
		}
		return object as never
	}
	const head = env.BUCKET.head.bind(env.BUCKET)
	const list: R2Bucket['list'] = async (options) => {
		if (faults && pick(3) === 0) {
			at.plans.standing = { plan: PlanName.options[pick(3)] ?? 'trial', limits: {} }
		}
		return env.BUCKET.list(options)
	}
	const BUCKET = { put, head, list, delete: env.BUCKET.delete.bind(env.BUCKET) } as R2Bucket

	/** Charged pictures less those that were refunded; and what the meter was told, by event. */
	let charged = 0
	const metered = new Map<string, number>()
	const open = () => {
		const books = openBooks(storage, (happening) => {
			if (happening.type === 'image') {
				charged++
				meters.observe(happening)
			}
		})
		const told: Promise<void>[] = []
		const meters = new Meters({
			sql,
			due: books.due,
			sinks: () => ({ stripe: 'cus_1' }),
			send: async (_, { id, pictures }) => {
				if (pick(4) === 0) {
					return { outcome: 'refused', text: '' }
				}
				metered.set(id, pictures)
				return { outcome: 'accepted', text: '' }
			},
			defer: (work) => void told.push(work),
			decide: (work) => storage.transactionSync(work)
		})
		const decide = (work: () => void) => {
			if (faults && pick(8) === 0) {
				see('crashed')
				throw new Error('crashed')
			}
			storage.transactionSync(work)
		}
		const errands = new Errands({ env: { ...env, BUCKET }, books, account: () => account, transact: decide })
		return { ...books, meters, told, errands }
	}
	let at = open()
	const deliveries = new Deliveries(sql)
	storage.transactionSync(() => {
		at.keys.add(key, { name: 'test', scopes: ['generate'], expires_at: null, limits: {} }, 0)
		at.ledger.credit(10_000 * price, 'the first', Date.now())
	})

	const any = (): string => {
		const all = sql.exec<{ id: string }>('SELECT id FROM generations').toArray()
		return all[pick(all.length || 1)]?.id ?? 'gen_none'
	}
	const archives = () => at.archives.list(undefined, 1_000).items
	const archive = async () => {
		const before = archives().length
		await at.errands.archive().catch(() => {})
		const [oldest] = sql.exec<{ completed_at: number }>('SELECT completed_at FROM generations ORDER BY id LIMIT 1').toArray()
		if (archives().length > before) {
			see('archived')
		} else if (oldest && oldest.completed_at < Date.now() - 32 * day && at.archives.ready(Date.now()) === undefined) {
			see('stopped')
		}
	}
	const refund = (id = any()) => {
		const refunded = transact(() => {
			at.generations.refund(id, Date.now())
			at.meters.takeBack(id, Date.now())
			charged -= at.generations.pictures(id).length
		})
		return 'value' in refunded
	}
	const erase = async () => {
		for (const { subject } of sql.exec<{ subject: string }>(
			"SELECT subject FROM due WHERE kind = 'erase' AND at <= ?",
			Date.now()
		)) {
			await at.errands.erase([subject]).catch(() => {})
		}
	}
	const meter = async () => {
		storage.transactionSync(() => at.meters.run('stripe', Date.now()))
		await Promise.all(at.told.splice(0))
		const [parked] = at.meters.list('parked', undefined, 1).items
		if (parked) {
			storage.transactionSync(() => at.meters.resolve('stripe', parked.id, 'sent', Date.now()))
			metered.set(parked.id, parked.value)
		}
	}
	const pass = (ms: number) => void vi.setSystemTime(Date.now() + ms)

	const draw = (id: string) => {
		const now = Date.now()
		const { epoch = 1, count = 1 } = at.generations.find(id) ?? {}
		transact(() => at.attempts.start(id, epoch, 'run-one-one', now))
		for (let n = 0; n < count; n++) {
			const receipt = { key: `${id}/${epoch}/${n}`, size: 9, etag: 'e' }
			transact(() => pick(8) && at.attempts.capture(id, epoch, { ...picture, n, seed: n }, receipt, now))
		}
		transact(() => at.attempts.finish(id, epoch, { outcome: 'succeeded', inference_ms: 1 }, now))
	}

	const acts: (() => unknown)[] = [
		() => {
			pass(1) // Ids of one millisecond are in no order.
			const now = Date.now()
			const count = 1 + pick(3)
			const request = { model: 'scenes', prompt: 'a cube', width: 128, height: 128, steps: 1, guidance: 1, seed: 0, count }
			const terms: Order['terms'] = { priority: 'normal', deadline: null, start_deadline: null, url_ttl: 60, webhook: null }
			const id = newId('gen', now)
			transact(() => at.generations.add(id, key, { request, terms }, [], pick(5) ? price : 0, now))
			if (pick(4) === 0) {
				at.repeats.remember({ name: id, fingerprint: 'f', life: day, matches: 'always' }, id, now)
			}
			if (pick(2)) {
				draw(id)
			}
		},
		() => draw(any()),
		() => transact(() => at.generations.cancel(any(), Date.now())),
		() => transact(() => pick(3) || at.generations.delete(any(), Date.now())),
		() => transact(() => pick(3) || at.ledger.credit(price, randomText(8), Date.now())),
		() => {
			const about = { endpoint: null, url: 'https://example.com/', type: 'generation.completed', n: null } as const
			deliveries.add({ ...about, generation: any(), at: Date.now() })
		},
		() => refund(),
		meter,
		() => pass(pick(100) * 60_000),
		() => pick(4) || pass(-pick(60) * day),
		() => {
			at = open()
		},
		erase,
		() => {
			pass(pick(40) * day)
			for (const { id } of sql.exec<{ id: string }>('SELECT id FROM generations WHERE completed_at IS NULL').toArray()) {
				transact(() => pick(4) && at.generations.end(id, 'expired', Date.now()))
			}
			sql.exec("UPDATE deliveries SET status = 'delivered' WHERE at < ?", Date.now() - 3 * day)
			return meter()
		},
		async () => {
			const twice = () => {
				see('twice at once')
				return archive()
			}
			const refundOldest = () => {
				const charged =
					'SELECT id FROM generations JOIN pictures ON generation = id WHERE refunded = 0 AND price > 0 ORDER BY id LIMIT 1'
				const [oldest] = sql.exec<{ id: string }>(charged).toArray()
				if (refund(oldest?.id)) {
					see('changed meanwhile')
				}
			}
			meanwhile = [undefined, twice, refundOldest, refundOldest][pick(4)]
			await archive()
			meanwhile = undefined
		}
	]

	/** Every entry, and all usage, that there ever was. */
	const entries = new Map<number, string>()
	const usage = new Map<string, number>()
	const opened = new Map<string, string[]>()
	/** Of whose pictures there are objects. */
	let drawn: string[] = []
	const check = async (step: number) => {
		expect({ step, differences: audit(sql, at.ledger) }).toEqual({ step, differences: [] })
		for (const row of sql.exec('SELECT id, at, kind, amount, generation, picture FROM ledger')) {
			const text = JSON.stringify(row)
			expect(entries.get(row.id as number) ?? text).toBe(text)
			entries.set(row.id as number, text)
		}
		const here = sql
			.exec<{ id: number }>('SELECT id FROM ledger')
			.toArray()
			.map(({ id }) => id)
		const archived: number[] = []
		for (const row of archives()) {
			if (!opened.has(row.last)) {
				expect(await archiveDifferences(env, account, row)).toEqual([])
				const lines = await linesOf(await (await env.BUCKET.get(archiveKey(account, row)))!.blob())
				opened.set(
					row.last,
					lines.flatMap(({ id: generation, entries }) =>
						entries.map(({ id, at, kind, amount, picture }) =>
							JSON.stringify({ id, at: Date.parse(at), kind, amount, generation, picture })
						)
					)
				)
			}
			for (const text of opened.get(row.last) ?? []) {
				const { id } = JSON.parse(text)
				expect(text).toBe(entries.get(id))
				archived.push(id)
			}
		}
		expect([...here, ...archived].sort((a, b) => a - b)).toEqual([...entries.keys()].sort((a, b) => a - b))
		const there = new Set(
			sql
				.exec<{ id: string }>('SELECT id FROM generations')
				.toArray()
				.map(({ id }) => id)
		)
		expect(drawn.filter((id) => !there.has(id))).toEqual([])
		const objects = 'SELECT DISTINCT id FROM generations JOIN pictures ON generation = id WHERE removed_at IS NULL'
		drawn =
			step < steps
				? sql
						.exec<{ id: string }>(objects)
						.toArray()
						.map(({ id }) => id)
				: []
		const lost = 'SELECT name FROM repeats LEFT JOIN generations ON id = generation WHERE until > ? AND id IS NULL'
		expect(sql.exec(lost, Date.now()).toArray()).toEqual([])
		for (const { day, pictures } of at.usage.list('2000-01-01', '2999-01-01')) {
			expect(pictures).toBeGreaterThanOrEqual(usage.get(day) ?? 0)
			usage.set(day, pictures)
		}
		expect(at.usage.list('2000-01-01', '2999-01-01')).toHaveLength(usage.size)
	}

	for (let step = 0; step < steps; step++) {
		// Archives are what most of it is.
		await acts.at(-1 - (pick(2) ? pick(3) : pick(acts.length)))?.()
		await check(step)
	}
	// What is over goes, all of it.
	faults = false
	for (const { id } of sql.exec<{ id: string }>('SELECT id FROM generations').toArray()) {
		transact(() => at.generations.cancel(id, Date.now()))
	}
	sql.exec("UPDATE deliveries SET status = 'delivered'")
	await check(steps)
	for (let round = 0; round < 400 && any() !== 'gen_none'; round++) {
		pass(day)
		await erase()
		await meter()
		await archive()
	}
	await check(steps + 1)
	// No file is left of a try that came to nothing.
	const { objects } = await env.BUCKET.list({ prefix: `archives/${account}/` })
	const files = (first: string) => objects.map(({ key }) => key).filter((key) => key.includes(first))
	for (const row of archives()) {
		expect(files(row.first)).toEqual([archiveKey(account, row)])
	}
	expect([...metered.values()].reduce((sum, pictures) => sum + pictures, 0)).toBe(charged)
	expect(sql.exec("SELECT kind FROM ledger WHERE kind <> 'credit'").toArray()).toEqual([])
	for (const table of ['generations', 'pictures', 'metered', 'batches', 'meter_events']) {
		expect(sql.exec(`SELECT * FROM ${table}`).toArray(), table).toEqual([])
	}
}
