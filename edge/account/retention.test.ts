import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { findModel } from '../../shared/catalog.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { orderFor, takeApart } from '../../shared/contract/order.ts'
import type { Delivery } from '../../shared/contract/webhooks.ts'
import { newId, randomText } from '../../shared/ids.ts'
import { inputKey } from '../inputs/store.ts'
import { readKey } from '../keys.ts'
import { receiver } from '../receiver.ts'
import { call, deliver, env, fetchEdge, get, newAccount, patience, post, put, stopClock, submitTo } from '../testing.ts'
import type { Account } from './account.ts'

const day = 86_400_000
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='

describe('An account keeps', () => {
	let account: string
	let key: string
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
	})

	const order = async (more: object = {}, headers: Record<string, string> = {}) => {
		const answer = await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere', ...more }, headers)
		expect(answer.status).toBe(202)
		return answer.json<Generation>()
	}
	const cancel = (id: string) => post(`/v1/generations/${id}/cancel`, key, {})
	const read = async (id: string) => (await get(`/v1/generations/${id}`, key)).json<Generation>()
	const rows = (sql: string) =>
		runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) => storage.sql.exec(sql).toArray())
	const stored = async (prefix: string) => (await env.BUCKET.list({ prefix })).objects.map((object) => object.key)
	/** Lets time go on, the alarm ring, and what it brings about come to its end. */
	const pass = async (ms: number, check: () => Promise<void>) => {
		vi.setSystemTime(Date.now() + ms)
		await runDurableObjectAlarm(env.ACCOUNT.getByName(account))
		await vi.waitFor(check, patience)
	}
	const nothingIsDue = async () => expect(await rows("SELECT kind, subject FROM due WHERE kind <> 'archive'")).toEqual([])

	it('pictures for the days of its plan, and their receipts', async () => {
		const { id, request } = await order({ count: 2 })
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		for (const n of [0, 1]) {
			await deliver(work, n, request.seed + n)
		}
		await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
		const keys = [0, 1].map((n) => `${id}/1/${n}`)
		await pass(30 * day - 1, async () => expect(await stored(`${id}/`)).toEqual(keys))
		expect(await read(id)).toMatchObject({ images: [{}, {}], removed_at: null })
		await pass(1, async () => expect(await stored(`${id}/`)).toEqual([]))
		await vi.waitFor(nothingIsDue, patience)
		expect(await read(id)).toMatchObject({ images: [], removed_at: expect.any(String) })
		expect(await rows('SELECT key, etag FROM pictures')).toHaveLength(2)
	})

	it.each([
		['scale', 90],
		['trial', 30]
	])('pictures that there are, when it gets the plan %s, for %d days', async (plan, days) => {
		const { id, request } = await order()
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, request.seed)
		await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
		await put(`/v1/admin/accounts/${account}`, env.ADMIN_TOKEN, { plan })
		await pass(days * day - 1, async () => expect(await stored(`${id}/`)).toHaveLength(1))
		await pass(1, async () => expect(await stored(`${id}/`)).toEqual([]))
	})

	it('nothing but pictures of what lost attempts have left behind', async () => {
		const { id, request } = await order({ count: 2 })
		await call({ account, generation: id, epoch: 1 }, 'start', { run: 'run-one-one' })
		await call({ account, generation: id, epoch: 1 }, 'yield', {})
		const work = { account, generation: id, epoch: 2 }
		await call(work, 'start', { run: 'run-two-two' })
		for (const left of ['1/0', '1/checkpoint', '2/1']) {
			await env.BUCKET.put(`${id}/${left}`, 'a picture')
		}
		await deliver(work, 0, request.seed)
		await cancel(id)
		await pass(10 * 60_000, async () => expect(await stored(`${id}/`)).toEqual([`${id}/2/0`]))
	})

	it('an upload that nothing uses for a day, and one that a generation uses as long as its pictures', async () => {
		const upload = async () => {
			const form = new FormData()
			form.set('file', new File([Buffer.from(png, 'base64')], 'a.png'))
			const headers = { authorization: `Bearer ${key}` }
			return (await fetchEdge('/openai/v1/files', { method: 'POST', headers, body: form })).json<{ id: string }>()
		}
		const [used, unused] = [await upload(), await upload()].map(({ id }) => id)
		const { id, request } = await order({ image: used, width: 96, height: 96 })
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await env.BUCKET.put(`${id}/1/0`, 'test')
		const seen = { n: 0, size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png', width: 96, height: 96 }
		expect((await call(work, 'image', { ...seen, seed: request.seed })).status).toBe(200)
		await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
		const inputs = inputKey(account, '')
		const both = [inputs + used, inputs + unused].sort() // Ids of one millisecond are in no order.
		await pass(1_000, async () => expect(await stored(inputs)).toEqual(both))
		await pass(day, async () => expect(await stored(inputs)).toEqual([inputs + used]))
		await pass(28 * day, async () => expect(await stored(inputs)).toEqual([inputs + used]))
		await pass(day, async () => expect(await stored(`${id}/`)).toEqual([]))
		await pass(day, async () => expect(await stored(inputs)).toEqual([]))
		await pass(day, nothingIsDue)
		expect(await rows('SELECT * FROM inputs')).toEqual([])
	})

	it('no upload for good that was asked for before unused ones were looked for, and came after it', async () => {
		const ask = async () => {
			const asked = { content_type: 'image/png', size: 1, md5: 'xMpCOKC5I4INzFCab3WEmw==' }
			return (await post('/v1/uploads', key, asked)).json<{ id: string }>()
		}
		const sweeps = () => rows("SELECT at FROM due WHERE kind = 'sweep'")
		await ask()
		vi.setSystemTime(Date.now() + day - 1_000)
		const { id } = await ask()
		const [{ at } = {}] = await sweeps()
		await pass(1_000, async () => expect(await sweeps()).not.toContainEqual({ at }))
		await env.BUCKET.put(inputKey(account, id), '')
		await pass(day, async () => expect(await stored(inputKey(account, ''))).toEqual([]))
		await pass(day, nothingIsDue)
	})

	it('no upload that nothing uses, however many are used: page by page', async () => {
		await post('/v1/uploads', key, { content_type: 'image/png', size: 1, md5: 'xMpCOKC5I4INzFCab3WEmw==' })
		const ids = Array.from({ length: 252 }, (_, i) => newId('upl', Date.now() + i))
		const unused = [0, 100, 251].map((i) => ids[i]!)
		await Promise.all(ids.map((id) => env.BUCKET.put(inputKey(account, id), '')))
		const used = ids.filter((id) => !unused.includes(id)).map((id) => `('${id}', 'an order')`)
		await rows(`INSERT INTO inputs VALUES ${used.join()}`)
		const left = async () => {
			const seen = await Promise.all(unused.map((id) => env.BUCKET.head(inputKey(account, id))))
			return unused.filter((_, i) => seen[i])
		}
		const due = () => rows("SELECT subject FROM due WHERE kind = 'sweep' ORDER BY at")
		await pass(day + 60_000, async () => expect(await left()).toEqual([ids[251]]))
		await vi.waitFor(async () => expect(await due()).toEqual([{ subject: ids[249] }, { subject: 'inputs' }]), patience)
		await pass(1_000, async () => expect(await left()).toEqual([]))
		await vi.waitFor(async () => expect(await due()).toEqual([{ subject: 'inputs' }]), patience)
	})

	it.each([
		[
			'as nothing used it',
			async (id: string) => pass(day + 60_000, async () => expect(await stored(inputKey(account, id))).toEqual([]))
		],
		[
			'by its owner',
			async (id: string) => env.ACCOUNT.getByName(account).giveUpInput(readKey(env.DARKROOM_SECRET, key)!.hash, id)
		]
	])('no upload that is used only once it is being removed %s: the order is refused, and not failed later', async (_, remove) => {
		const form = new FormData()
		form.set('file', new File([Buffer.from(png, 'base64')], 'a.png'))
		const headers = { authorization: `Bearer ${key}` }
		const { id } = await (await fetchEdge('/openai/v1/files', { method: 'POST', headers, body: form })).json<{ id: string }>()
		const request = { model: 'scenes', prompt: 'a red sphere', image: id, width: 96, height: 96 }
		// An order that has looked at its input by now.
		const seen = takeApart(orderFor(findModel('scenes')!, { task: 'image-to-image', stored: true }).parse(request))
		await remove(id)
		const submitted = await submitTo(env.ACCOUNT.getByName(account), readKey(env.DARKROOM_SECRET, key)!.hash, seen)
		expect(submitted).toMatchObject({ fault: { code: 'invalid-request', errors: [{ pointer: '/image' }] } })
		expect(await rows('SELECT * FROM generations')).toEqual([])
	})

	it('the names of orders for as long as those may be repeated', async () => {
		await order({}, { 'idempotency-key': 'one' })
		await order({}, { 'x-stainless-retry-count': '0' })
		const names = () =>
			rows('SELECT substr(name, 1, 7) AS name FROM repeats ORDER BY name').then((all) => all.map(({ name }) => name))
		expect(await names()).toEqual(['key one', expect.stringMatching(/^sdk /)])
		vi.setSystemTime(Date.now() + 600_000)
		await order({}, { 'idempotency-key': 'two' })
		expect(await names()).toEqual(['key one', 'key two'])
		vi.setSystemTime(Date.now() + day)
		await order({}, { 'idempotency-key': 'three' })
		expect(await names()).toEqual(['key thr'])
	})

	it('deliveries of webhooks for thirty days', async () => {
		const { url } = receiver(randomText(8))
		const told = async () => {
			const { id } = await order({ webhook: url })
			await cancel(id)
			return id
		}
		const listed = async () => {
			const { deliveries } = await (await get('/v1/webhooks/deliveries', key)).json<{ deliveries: Delivery[] }>()
			expect(deliveries.map(({ status }) => status)).not.toContain('pending')
			return deliveries.map(({ generation }) => generation)
		}
		const first = await told()
		await pass(0, async () => expect(await listed()).toEqual([first]))
		vi.setSystemTime(Date.now() + 30 * day - 1_000)
		const second = await told()
		await pass(0, async () => expect(await listed()).toEqual([second, first]))
		vi.setSystemTime(Date.now() + 2_000)
		const third = await told()
		await pass(0, async () => expect(await listed()).toEqual([third, second]))
		expect(await rows("SELECT * FROM due WHERE kind = 'webhook'")).toEqual([])
	})

	it('no more of either after a long silence than it can forget in one go', async () => {
		const { url } = receiver(randomText(8))
		const numbers = 'WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 20001)'
		await rows(
			`INSERT INTO deliveries (id, lane, url, type, at, status, due_at)
			${numbers} SELECT printf('msg_%026d', i), 'l', 'u', 'ping', 0, 'delivered', 0 FROM numbers`
		)
		await rows(`INSERT INTO repeats ${numbers} SELECT 'key ' || i, 'f', 'g', i FROM numbers WHERE i <= 101`)
		const left = async (table: string) => (await rows(`SELECT count(*) AS n FROM ${table}`))[0]?.n
		await order({ webhook: url }, { 'idempotency-key': 'one' })
		expect(await left('repeats')).toBe(2)
		const { id } = await order({ webhook: url }, { 'idempotency-key': 'two' })
		expect(await left('repeats')).toBe(2)
		await cancel(id)
		const old = "deliveries WHERE type = 'ping'"
		await vi.waitFor(async () => expect(await left(old)).toBeLessThan(20_001), patience)
		expect([10_001, 1]).toContain(await left(old))
	})
})
