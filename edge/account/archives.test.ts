import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { AccountView, LedgerEntry, Usage } from '../../shared/contract/account.ts'
import { type Archive, ArchivedGeneration } from '../../shared/contract/archive.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { newId, randomText } from '../../shared/ids.ts'
import { receiver } from '../receiver.ts'
import { auditOf, call, codeOf, deliver, env, get, newAccount, patience, post, put, remove, stopClock } from '../testing.ts'
import type { Account } from './account.ts'
import { audit as bookAudit } from './audit.ts'
import { openBooks } from './books.ts'
import { migrate } from './schema.ts'

const day = 86_400_000
/** Of 128 × 128 pixels in 25 steps. */
const price = 1_410

describe('The archive', () => {
	let account: string
	let key: string
	stopClock()
	beforeEach(async () => {
		// At noon: what ends on one day is archived on one day.
		vi.setSystemTime(Date.UTC(2030, 0, 1, 12))
		;({ account, key } = await newAccount())
	})

	const admin = (path: string, body: unknown = {}) => post(`/v1/admin/accounts/${account}${path}`, env.ADMIN_TOKEN, body)
	const rows = (sql: string) =>
		runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) => storage.sql.exec(sql).toArray())
	const audit = () => auditOf(account)
	const order = async (more: object = {}) => {
		const answer = await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere', seed: 5, ...more })
		expect(answer.status).toBe(202)
		return answer.json<Generation>()
	}
	/** Orders `count` pictures, delivers `delivered` of them, and ends it. */
	const drawn = async (count: number, delivered = count, more: object = {}) => {
		const { id } = await order({ count, ...more })
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		for (let n = 0; n < delivered; n++) {
			await deliver(work, n, 5 + n)
		}
		await (delivered === count
			? call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
			: post(`/v1/generations/${id}/cancel`, key, {}))
		return id
	}
	const setPlan = async (plan: string) => {
		expect((await put(`/v1/admin/accounts/${account}`, env.ADMIN_TOKEN, { plan, limits: {} })).status).toBe(200)
	}
	const nameCustomer = async () => {
		const named = await put(`/v1/admin/accounts/${account}/metering`, env.ADMIN_TOKEN, { stripe_customer: 'cus_1' })
		expect(named.status).toBe(200)
	}
	const kept = async () => (await rows('SELECT id FROM generations ORDER BY id')).map(({ id }) => id)
	const ring = () => runDurableObjectAlarm(env.ACCOUNT.getByName(account))
	/** Lets one day after the other go by, and what is due be done: what is under way is put off for minutes, the next archive for a second. */
	const pass = async (days: number) => {
		for (let i = 0; i < days; i++) {
			vi.setSystemTime(Date.now() + day)
			const soon = `SELECT * FROM due WHERE kind IN ('erase', 'archive') AND at < ${Date.now() + 30 * 60_000}`
			await vi.waitFor(async () => {
				vi.setSystemTime(Date.now() + 60_000)
				await ring()
				expect(await rows(soon)).toEqual([])
			}, patience)
		}
	}
	const archives = async () =>
		(await (await get('/v1/archives', key)).json<{ archives: Archive[]; next: string | null }>()).archives
	const objectOf = ({ url }: Archive) => decodeURIComponent(new URL(url).pathname.replace('/darkroom/', ''))
	const linesOf = async (archive: Archive) => {
		const object = await env.BUCKET.get(objectOf(archive))
		const text = await new Response(object!.body.pipeThrough(new DecompressionStream('gzip'))).text()
		return text
			.trimEnd()
			.split('\n')
			.map((line) => ArchivedGeneration.parse(JSON.parse(line)))
	}
	const described = async () => (await get('/v1/account', key)).json<AccountView>()
	const ledger = async () => (await get('/v1/ledger?limit=500', key)).json<{ entries: LedgerEntry[]; archived_until?: string }>()
	const usage = async () => (await (await get('/v1/usage?from=2000-01-01', key)).json<{ usage: Usage[] }>()).usage

	it('takes the books of what ended a month ago, and forgets the words', async () => {
		const [whole, part] = [await drawn(2), await drawn(3, 1)]
		const nothing = await drawn(1, 0)
		expect((await admin(`/generations/${part}/refund`)).status).toBe(200)
		const before = { usage: await usage(), entries: (await ledger()).entries, balance: (await described()).balance }
		await pass(30)
		expect(await kept()).toEqual([whole, part, nothing].sort())
		await pass(2)
		expect(await kept()).toEqual([])
		const [archive, ...others] = await archives()
		expect(others).toEqual([])
		expect(archive).toMatchObject({
			generations: 3,
			pictures: 3,
			amounts: { hold: 6 * price, capture: 3 * price, release: 3 * price, refund: price }
		})
		const lines = await linesOf(archive!)
		expect(lines.find(({ id }) => id === part)).toMatchObject({
			model: 'scenes',
			status: 'canceled',
			price,
			count: 3,
			refunded: price,
			pictures: [{ n: 0, key: `${part}/1/0`, size: 4, etag: '098f6bcd4621d373cade4e832627b4f6', batch: null }],
			entries: [
				{ kind: 'hold', amount: 3 * price },
				{ kind: 'capture', amount: price, picture: 0 },
				{ kind: 'release', amount: 2 * price },
				{ kind: 'refund', amount: price }
			]
		})
		expect(JSON.stringify(lines)).not.toContain('sphere')
		// Each entry is there or here, once, and as it was.
		const archived = lines.flatMap(({ id: generation, entries }) => entries.map((entry) => ({ ...entry, generation })))
		const left = await ledger()
		expect(left.archived_until).toEqual(expect.any(String))
		expect(left.entries).toMatchObject([{ kind: 'credit' }])
		const all = [...archived, ...left.entries].sort((a, b) => b.id - a.id)
		expect(all).toMatchObject(
			before.entries.map(({ id, at, kind, amount, picture, generation }) => ({ id, at, kind, amount, picture, generation }))
		)
		expect(all).toHaveLength(before.entries.length)
		expect(await usage()).toEqual(before.usage)
		expect((await described()).balance).toEqual(before.balance)
		expect(await audit()).toEqual({ differences: [], objects: 1 })
		expect(await rows('SELECT * FROM due')).toEqual([])
		// Ids of entries only grow, though the newest was archived.
		await order()
		expect((await ledger()).entries[0]!.id).toBe(before.entries[0]!.id + 1)
		expect(await audit()).toEqual({ differences: [], objects: 1 })
	})

	it('answers for what it took with 410, in the words of each protocol, and for what there never was with 404', async () => {
		const place = receiver(randomText(8))
		const id = await drawn(1, 1, { webhook: place.url })
		await vi.waitFor(async () => expect(await rows('SELECT status FROM deliveries')).toEqual([{ status: 'delivered' }]), patience)
		const delivery = (await (await get('/v1/webhooks/deliveries', key)).json<{ deliveries: { id: string }[] }>()).deliveries[0]!
		await pass(32)
		expect(await kept()).toEqual([])
		const younger = newId('gen')
		for (const [gone, code] of [
			[id, '410 archived'],
			[younger, '404 not-found']
		] as const) {
			const at = `/v1/generations/${gone}`
			expect(await codeOf(await get(at, key))).toBe(code)
			expect(await codeOf(await get(at, key, { prefer: 'wait=1' }))).toBe(code)
			expect(await codeOf(await get(`${at}/events`, key, { 'last-event-id': 'x-1' }))).toBe(code)
			expect(await codeOf(await get(`${at}/images/0`, key))).toBe(code)
			expect(await codeOf(await post(`${at}/cancel`, key, ''))).toBe(code)
			expect(await codeOf(await remove(at, key))).toBe(code)
			expect(await codeOf(await admin(`/generations/${gone}/refund`))).toBe(code)
			const status = Number(code.slice(0, 3))
			const replicate = await get(`/replicate/v1/predictions/${gone}`, key)
			expect([replicate.status, await replicate.json()]).toEqual([
				status,
				expect.objectContaining({ status, detail: expect.stringContaining(gone) })
			])
			const fal = await get(`/fal/queue/darkroom/scenes/requests/${gone}/status`, key)
			expect([fal.status, await fal.json()]).toEqual([status, expect.objectContaining({ detail: expect.stringContaining(gone) })])
		}
		// Nor is anything left that would be told of it.
		expect(await codeOf(await post(`/v1/webhooks/deliveries/${delivery.id}/replay`, key, ''))).toBe('404 not-found')
		const callback = await call({ account, generation: id, epoch: 1 }, 'start', { run: 'run-two-two' })
		expect(await codeOf(callback)).toBe('409 ended')
		const { generations, archived_until } = await (await get('/v1/generations', key)).json<{
			generations: object[]
			archived_until: string
		}>()
		expect(generations).toEqual([])
		expect(Date.parse(archived_until)).toBe((await rows("SELECT at FROM ledger WHERE kind = 'credit'"))[0]!.at)
	})

	it.each<[string, RegExp | null, () => Promise<unknown>, () => Promise<unknown>]>([
		['that nobody started', null, () => order(), () => pass(7)],
		['whose pictures are kept', null, () => setPlan('scale').then(() => drawn(1)), () => pass(60)],
		[
			'whose webhook is on its way',
			/: a webhook is still to be told$/,
			async () => {
				const place = receiver(randomText(8))
				await place.plan({ status: 500 })
				const { id } = await order({ webhook: place.url })
				await post(`/v1/generations/${id}/cancel`, key, '')
				const far = Date.now() + 300 * day
				await vi.waitFor(async () => expect(await rows('SELECT tries FROM deliveries')).toEqual([{ tries: 1 }]), patience)
				await rows(`UPDATE deliveries SET due_at = ${far}`)
				await rows(`UPDATE due SET at = ${far} WHERE kind = 'webhook'`)
			},
			() => rows("UPDATE deliveries SET status = 'failed'")
		],
		[
			'that a meter has not been told of',
			/: meter event mtr_\w{26} for stripe is parked$/,
			async () => {
				await nameCustomer()
				await drawn(1)
				await rows("UPDATE meter_events SET state = 'parked'")
				await rows("DELETE FROM due WHERE kind = 'meter'")
			},
			() => rows("UPDATE meter_events SET state = 'sent'")
		]
	])('waits for one %s, says so, and those after it wait, too', async (_, expected, hold, release) => {
		await hold()
		const before = await kept()
		await setPlan('standard')
		vi.setSystemTime(Date.now() + 1_000)
		const after = await drawn(1)
		await pass(36)
		expect(await kept()).toEqual([...before, after])
		expect(await archives()).toEqual([])
		const waitsFor = async () => (await described()).archive_waits_for
		expect(await waitsFor()).toEqual(expected && expect.stringMatching(expected))
		expect((await waitsFor())?.startsWith(before[0] as string) ?? null).toBe(expected && true)
		await release()
		await pass(33)
		expect(await waitsFor()).toBeNull()
		expect(await kept()).toEqual([])
		expect(await archives()).toHaveLength(1)
		expect((await audit()).differences).toEqual([])
	})

	it('says that it fails, and goes on once it need not', async () => {
		const id = await drawn(1)
		await pass(30)
		await rows('UPDATE generations SET refunded = 1')
		vi.setSystemTime(Date.now() + 2 * day)
		await ring()
		const failed = `${id}: its archive failed 1 times in a row; the log has the reason`
		await vi.waitFor(async () => expect((await described()).archive_waits_for).toBe(failed), patience)
		await rows('UPDATE generations SET refunded = 0')
		await pass(1)
		expect((await described()).archive_waits_for).toBeNull()
		expect(await kept()).toEqual([])
	})

	it('waits for one that may be sent again, though it was made before the clock was set back', async () => {
		const send = async () => {
			const body = { model: 'scenes', prompt: 'a red sphere', seed: 5 }
			return (await post('/v1/generations', key, body, { 'idempotency-key': 'one' })).json<Generation>()
		}
		vi.setSystemTime(Date.now() + 60 * day)
		const { id } = await send()
		vi.setSystemTime(Date.now() - 60 * day)
		await post(`/v1/generations/${id}/cancel`, key, '')
		await pass(36)
		expect((await send()).id).toBe(id)
		await pass(60)
		expect(await kept()).toEqual([])
	})

	it('is none that nothing refers to, where one of an order that was made after the clock was set back lies within its range', async () => {
		const noon = Date.now()
		const first = await drawn(1)
		vi.setSystemTime(noon + 3_600_000)
		const last = await drawn(1)
		await pass(32)
		expect(await archives()).toMatchObject([{ first, last }])
		vi.setSystemTime(noon + 1_800_000)
		const between = await drawn(1)
		await pass(32)
		expect(await archives()).toMatchObject([
			{ first, last },
			{ first: between, last: between }
		])
		expect(await audit()).toEqual({ differences: [], objects: 2 })
	})

	it('goes through what has gathered chunk by chunk, while orders are accepted, and gives the room back', async () => {
		const sample = await drawn(2)
		await pass(30)
		await rows(copies(sample, 2_499))
		expect(await audit()).toMatchObject({ differences: [] })
		const full = (await described()).stored_bytes
		vi.setSystemTime(Date.now() + 2 * day)
		const accepted: string[] = []
		await vi.waitFor(async () => {
			vi.setSystemTime(Date.now() + 1_000)
			await ring()
			accepted.push((await order()).id)
			expect((await archives()).map(({ generations }) => generations)).toEqual([500, 1_000, 1_000])
		}, patience)
		expect(await kept()).toEqual(accepted)
		expect((await described()).stored_bytes).toBeLessThan(full / 4)
		expect(await audit()).toEqual({ differences: [], objects: 3 })
		const page = async (query: string) =>
			(await get(`/v1/archives?${query}`, key)).json<{ archives: Archive[]; next: string | null }>()
		const first = await page('limit=2')
		expect(await page(`limit=2&cursor=${first.next}`)).toMatchObject({
			archives: [{ first: expect.stringContaining(sample.slice(0, 20)) }],
			next: null
		})
	})

	it('is found out where it was changed', async () => {
		await drawn(2)
		await pass(1)
		await drawn(3, 1)
		await pass(33)
		const [younger, older] = await archives()
		const key = objectOf(older!)
		const object = await (await env.BUCKET.get(key))!.bytes()
		const found = async () => (await audit()).differences
		expect(await found()).toEqual([])

		await env.BUCKET.delete(key)
		expect(await found()).toEqual([expect.stringMatching(`${key}: no object`)])
		const text = await new Response(new Blob([object]).stream().pipeThrough(new DecompressionStream('gzip'))).text()
		const changed = new Response(
			new Blob([text.replace('"count":2', '"count":1')]).stream().pipeThrough(new CompressionStream('gzip'))
		)
		await env.BUCKET.put(key, await changed.arrayBuffer())
		expect(await found()).toEqual([expect.stringMatching(`${key}: ${object.length} bytes, got .* with SHA-256`)])
		await env.BUCKET.put(key, object)
		expect(await found()).toEqual([])

		const at = `WHERE last = '${younger!.last}'`
		const other = `last <> '${younger!.last}'`
		for (const [change, undo, expected] of [
			[`refund = refund + 1 ${at}`, `refund = refund - 1 ${at}`, ['balance available', 'balance charged', 'of refund']],
			// What goes from one archive to another, no sum here tells.
			[
				`capture = capture + iif(${other}, 1, -1), hold = hold + iif(${other}, 1, -1)`,
				`capture = capture - iif(${other}, 1, -1), hold = hold - iif(${other}, 1, -1)`,
				['of hold', 'of capture', 'of hold', 'of capture']
			],
			[`pictures = pictures + 1 ${at}`, `pictures = pictures - 1 ${at}`, ['usage that the archives do not make', 'of pictures']],
			[`generations = generations + 1 ${at}`, `generations = generations - 1 ${at}`, ['of generations']]
		] as const) {
			await rows(`UPDATE archives SET ${change}`)
			const differences = await found()
			expect(differences, change).toEqual(expected.map((what) => expect.stringContaining(what)))
			await rows(`UPDATE archives SET ${undo}`)
		}
		for (const [change, undo] of [
			[
				'archived_pictures = archived_pictures + 1, pictures = pictures + 1',
				'archived_pictures = archived_pictures - 1, pictures = pictures - 1'
			],
			[
				'archived_amount = archived_amount + 1, amount = amount + 1',
				'archived_amount = archived_amount - 1, amount = amount - 1'
			],
			['pictures = pictures + 1', 'pictures = pictures - 1']
		]) {
			await rows(`UPDATE usage SET ${change}`)
			expect(await found(), change).toContainEqual(expect.stringContaining('usage that the'))
			await rows(`UPDATE usage SET ${undo}`)
		}
		expect(await found()).toEqual([])
		await rows('DELETE FROM archives')
		expect(await found()).toContainEqual(expect.stringContaining('balance charged'))
	})

	it('leaves no file of a try that came to nothing, and the audit tells of any that nothing refers to', async () => {
		const id = await drawn(1)
		const folder = `archives/${account}/`
		const files = async () => (await env.BUCKET.list({ prefix: folder })).objects.map(({ key }) => key)
		const left = `${folder}${id}-${'0'.repeat(64)}.ndjson.gz`
		await env.BUCKET.put(left, 'of rows that have changed since')
		// It may be under way.
		expect(await audit()).toEqual({ differences: [], objects: 1 })
		await pass(32)
		expect(await files()).toEqual([objectOf((await archives())[0]!)])
		const others = [left, `${folder}${newId('gen')}-${'0'.repeat(64)}.ndjson.gz`, `${folder}notes.txt`].sort()
		for (const key of others) {
			await env.BUCKET.put(key, '')
		}
		expect((await audit()).differences).toEqual(
			others.map((key) => `archive ${key}: nothing refers to it, so that it may be removed`)
		)
	})

	it('takes nothing whose books do not agree', async () => {
		const error = vi.spyOn(console, 'error').mockImplementation(() => {})
		const id = await drawn(2)
		await rows("UPDATE ledger SET amount = amount + 1 WHERE kind = 'capture' AND picture = 0")
		vi.setSystemTime(Date.now() + 33 * day)
		await vi.waitFor(async () => {
			vi.setSystemTime(Date.now() + day)
			await ring()
			expect(await rows("SELECT tries > 0 AS failed FROM due WHERE kind = 'archive'")).toEqual([{ failed: 1 }])
		}, patience)
		expect(error.mock.calls.flat().join()).toContain(`${id}: expected`)
		error.mockRestore()
		expect(await kept()).toEqual([id])
		await rows("UPDATE ledger SET amount = amount - 1 WHERE kind = 'capture' AND picture = 0")
		await pass(1)
		expect(await kept()).toEqual([])
	})

	it('counts a meter event whose pictures are partly in it', async () => {
		await nameCustomer()
		const first = await drawn(2)
		vi.setSystemTime(Date.now() + 1_000)
		const { id: second } = await order()
		const work = { account, generation: second, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, 5)
		await rows("UPDATE meter_events SET state = 'sent'")
		await pass(33)
		expect(await kept()).toEqual([second])
		expect(await rows('SELECT pictures, archived FROM batches')).toEqual([{ pictures: 3, archived: 2 }])
		expect((await audit()).differences).toEqual([])
		const [archive] = await archives()
		expect((await linesOf(archive!))[0]).toMatchObject({ id: first, pictures: [{ batch: expect.stringMatching(/^mtr_/) }, {}] })
		await post(`/v1/generations/${second}/cancel`, key, '')
		await pass(33)
		expect(await rows('SELECT id FROM batches UNION ALL SELECT batch FROM meter_events')).toEqual([])
		expect((await audit()).differences).toEqual([])
	})

	it('begins with what an account has gathered before there was one', async () => {
		await runInDurableObject(env.ACCOUNT.getByName(account), async (_: Account, { storage }) => {
			await storage.deleteAll()
			migrate(storage, 14)
			storage.sql.exec(`
				INSERT INTO generations (id, request, status, epoch, created_at, completed_at, model, price, count)
					VALUES ('gen_01', '{}', 'canceled', 1, 0, 1, 'scenes', 7, 2);
				INSERT INTO ledger (at, kind, amount, reference) VALUES (0, 'credit', 100, 'a');
				INSERT INTO ledger (at, kind, amount, generation) VALUES (0, 'hold', 14, 'gen_01'), (1, 'release', 14, 'gen_01');
				UPDATE tallies SET funds = -100, available = 100;
			`)
			migrate(storage)
			const { archives, ledger } = openBooks(storage, () => {})
			expect(storage.sql.exec('SELECT kind, subject FROM due').toArray()).toEqual([{ kind: 'archive', subject: 'books' }])
			const chunk = archives.ready(100 * day)!
			expect(chunk).toMatchObject({ first: 'gen_01', last: 'gen_01', entries: [2, 3] })
			storage.transactionSync(() => archives.keep(chunk, { size: 1, sha256: '' }, 100 * day))
			expect(bookAudit(storage.sql, ledger)).toEqual([])
			expect(ledger.list(undefined, 9).items).toMatchObject([{ id: 1 }])
		})
	})
})

/** SQL that gives an account `times` more of a generation: with the same pictures and entries, each with ids of its own. */
function copies(sample: string, times: number): string {
	const numbers = `WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ${times})`
	const of = (generation: string) => `substr(${generation}, 1, 20) || printf('%010d', i)`
	const copied = (table: string, change: Record<string, string>, columns: string) => {
		const values = columns.split(', ').map((column) => change[column] ?? column)
		return `INSERT INTO ${table} (${columns}) ${numbers} SELECT ${values.join(', ')} FROM numbers, ${table} WHERE ${table === 'generations' ? 'id' : 'generation'} = '${sample}';`
	}
	const ledger = 'id, at, kind, amount, generation, picture'
	return `
		${copied('pictures', { generation: of('generation') }, 'generation, n, key, size, etag, captured_at, content_type, width, height, seed')}
		${copied('ledger', { id: 'NULL', generation: of('generation') }, ledger)}
		${copied('generations', { id: of('id') }, 'id, request, status, epoch, created_at, started_at, completed_at, key, model, price, count, removed_at')}
		UPDATE usage SET pictures = pictures * ${times + 1}, amount = amount * ${times + 1};
		UPDATE tallies SET available = available - charged * ${times}, charged = charged * ${times + 1} WHERE subject = '';
	`
}
