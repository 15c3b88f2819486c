import { runInDurableObject } from 'cloudflare:test'
import { expect, inject, it } from 'vitest'
import type { Order } from '../../shared/contract/order.ts'
import { newId, randomText } from '../../shared/ids.ts'
import { answer } from '../errors.ts'
import { env, random } from '../testing.ts'
import { lease } from './attempts.ts'
import { audit } from './audit.ts'
import { type Books, openBooks } from './books.ts'
import type { Happening } from './happenings.ts'
import { migrate } from './schema.ts'

/** 1,000, or INTERLEAVINGS. */
const interleavings = inject('interleavings')
/** Interleavings in one account, one after another; its books are audited at the end. */
const together = 500

const price = 1_000
const key = 'the hash of a key'
const picture = { size: 9, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png' as const, width: 128, height: 128 }

declare module 'vitest' {
	interface ProvidedContext {
		interleavings: number
	}
}

it(`charges each picture once and nothing else, in ${interleavings.toLocaleString('en')} interleavings`, {
	timeout: 300_000
}, async () => {
	const seen: Record<string, number> = {}
	for (let first = 0; first < interleavings; first += together) {
		await runInDurableObject(env.ACCOUNT.getByName(`t-${randomText(10)}`), (_, { storage }) => {
			const transact = (work: () => unknown) => answer(() => storage.transactionSync(work))
			let captured = 0
			const books = openBooks(storage, ({ type }) => {
				captured += type === 'image' ? 1 : 0
				seen[type] = (seen[type] ?? 0) + 1
			})
			books.keys.add(key, { name: 'test', scopes: ['generate'], expires_at: null, limits: {} }, 0)
			let credited = 0
			for (let i = first; i < first + together; i++) {
				const pick = random(i)
				// Sometimes not enough for all that will be ordered.
				const credit = 1 + pick(5 * price)
				books.ledger.credit(credit, String(i), 0)
				credited += credit
				interleave(books, transact, pick, i * 1_000_000)
				const { available, held, charged } = books.ledger.balance()
				expect({ i, held, total: available + charged }).toEqual({ i, held: 0, total: credited })
			}
			expect(storage.sql.exec('SELECT count(*) AS captured FROM pictures').one()).toEqual({ captured })
			expect(audit(storage.sql, books.ledger)).toEqual([])
		})
	}
	// What was never reached was not tested.
	for (const type of ['started', 'image', 'completed', 'failed', 'canceled', 'expired'] satisfies Happening['type'][]) {
		expect(seen[type], type).toBeGreaterThan(interleavings / 100)
	}
})

it('keeps the books of an account that was made before they were laid out as they are', async () => {
	await runInDurableObject(env.ACCOUNT.getByName(`t-${randomText(10)}`), async (_, { storage }) => {
		await storage.deleteAll()
		migrate(storage, 10)
		storage.sql.exec(`
			INSERT INTO keys (hash, id, name, created_at) VALUES ('${key}', 'key_1', 'test', 0);
			INSERT INTO generations (id, request, status, epoch, yields, created_at, key, model, price, count)
				VALUES ('gen_1', '{}', 'queued', 5, 2, 0, '${key}', 'scenes', 7, 2);
			INSERT INTO ledger (at, kind, amount, reference) VALUES (0, 'credit', 100, 'a');
			INSERT INTO ledger (at, kind, amount, generation) VALUES (0, 'hold', 14, 'gen_1');
			UPDATE balance SET funds = -100, available = 86, held = 14;
			UPDATE allowances SET arrival = 5, in_flight = 2, held = 14;
			INSERT INTO allowances (subject, arrival, in_flight, held) VALUES ('${key}', 0, 2, 14);
		`)
		migrate(storage)
		const { ledger, allowances, generations } = openBooks(storage, () => {})
		expect(generations.find('gen_1')).toMatchObject({ epoch: 5, lost: 2, reached: 0 })
		expect(ledger.balance()).toEqual({ available: 86, held: 14, charged: 0 })
		expect(ledger.list(undefined, 9).items).toMatchObject([
			{ id: 2, kind: 'hold', amount: 14 },
			{ id: 1, kind: 'credit', reference: 'a' }
		])
		expect(allowances.inFlight).toBe(2)
		expect(audit(storage.sql, ledger)).toEqual([])
		storage.transactionSync(() => generations.cancel('gen_1', 9))
		expect(ledger.balance()).toEqual({ available: 100, held: 0, charged: 0 })
		expect(ledger.list(undefined, 1).items).toMatchObject([{ id: 3, kind: 'release' }])
		expect(audit(storage.sql, ledger)).toEqual([])
	})
})

it('leaves tables alone that a newer version has laid out', async () => {
	await runInDurableObject(env.ACCOUNT.getByName(`t-${randomText(10)}`), async (_, { storage }) => {
		const newer = storage.kv.get<number>('schema')! + 1
		storage.kv.put('schema', newer)
		expect(() => migrate(storage)).toThrow(`version ${newer - 1} or older, got version ${newer}`)
	})
})

/** One to three orders and whatever may happen to them, in any order, until each has ended. */
function interleave(
	books: Books,
	transact: (work: () => unknown) => unknown,
	pick: (below: number) => number,
	began: number
): void {
	const { generations, attempts } = books
	let now = began
	const ids: string[] = []
	const submit = () => {
		const id = newId('gen', now)
		const count = 1 + pick(4)
		const request = { model: 'scenes', prompt: 'a cube', width: 128, height: 128, steps: 1, guidance: 1, seed: 0, count }
		const order: Order = {
			request,
			terms: {
				priority: 'normal',
				deadline: pick(3) ? null : 1 + pick(60),
				start_deadline: pick(3) ? null : 1 + pick(60),
				url_ttl: 60,
				webhook: null
			}
		}
		const submitted = transact(() => generations.add(id, key, order, [], price, now))
		if (!('fault' in (submitted as object))) {
			ids.push(id)
		}
	}
	submit()
	const steps = 8 + pick(24)
	for (let step = 0; step < steps; step++) {
		const id = ids[pick(ids.length)] ?? 'gen_none'
		// Callbacks are late, early or repeated: of any epoch, by any run.
		const current = generations.find(id)?.epoch ?? 1
		const epoch = pick(4) ? current : Math.max(1, current - 1 + pick(3))
		const n = pick(4)
		const acts = [
			() => transact(() => attempts.start(id, epoch, pick(6) ? 'run-one-one' : 'run-two-two', now)),
			() => transact(() => attempts.progress(id, epoch, { done: pick(9), total: 8 }, [0], now)),
			() => transact(() => attempts.permit(id, epoch, n, now)),
			() =>
				transact(() =>
					attempts.capture(id, epoch, { ...picture, n, seed: n }, { key: `${id}/${epoch}/${n}`, size: 9, etag: 'e' }, now)
				),
			() => transact(() => attempts.finish(id, epoch, { outcome: 'succeeded', inference_ms: 1 }, now)),
			() => pick(8) || transact(() => attempts.finish(id, epoch, { outcome: 'failed', detail: 'NaN' }, now)),
			() => pick(8) || transact(() => attempts.handBack(id, epoch, now)),
			() => pick(8) || transact(() => generations.cancel(id, now)),
			() => pick(16) || transact(() => generations.delete(id, now)),
			() => pick(16) || transact(() => generations.refund(id, now)),
			() => pick(4) || ids.length > 2 || submit(),
			() => {
				now += pick(2) ? 100 : lease + 1
				tick(books, transact, now)
			}
		]
		// Work that goes well is what most of it is.
		const act = pick(3) ? acts[[0, 3, 3, 4][pick(4)] as number] : acts[pick(acts.length)]
		act?.()
	}
	for (const id of ids) {
		transact(() => generations.cancel(id, now))
	}
}

/** What the Account's alarm does. */
function tick({ due, generations, attempts }: Books, transact: (work: () => unknown) => unknown, now: number): void {
	transact(() => {
		const claimed = due.claim(now, 1_000, () => 1_000)
		for (const id of claimed.get('erase') ?? []) {
			due.remove('erase', id)
		}
		for (const id of claimed.get('lease') ?? []) {
			attempts.reclaim(id, now)
		}
		for (const id of claimed.get('deadline') ?? []) {
			generations.expire(id, now)
		}
	})
}
