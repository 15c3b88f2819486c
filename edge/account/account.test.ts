import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import type { Order } from '../../shared/contract/order.ts'
import { randomText } from '../../shared/ids.ts'
import { type Answer, unwrap } from '../errors.ts'
import { env, plenty, stopClock, submitTo } from '../testing.ts'
import type { Account } from './account.ts'
import { lease, mostAttempts } from './attempts.ts'
import type { Snapshot } from './snapshot.ts'

const request: ResolvedRequest = {
	model: 'scenes',
	prompt: 'a red sphere',
	negative_prompt: '',
	width: 128,
	height: 128,
	steps: 25,
	guidance: 3,
	seed: 0xffff_ffff,
	count: 2
}
const order: Order = {
	request,
	terms: { priority: 'normal', deadline: null, start_deadline: null, url_ttl: 3_600, webhook: null }
}
const key = 'the hash of a key'
const hour = 3_600_000
const picture = (n: number) => ({
	n,
	size: 9,
	md5: 'CY9rzUYh03PK3k6DJie09g==',
	content_type: 'image/png' as const,
	width: 128,
	height: 128,
	seed: (request.seed + n) >>> 0
})
const receipt = (epoch: number, n: number) => ({ key: `g/${epoch}/${n}`, size: 9, etag: '098f6bcd4621d373cade4e832627b4f6' })
const faultOf = (answered: Answer<unknown>) => ('fault' in answered ? answered.fault.code : 'no fault')

describe('Account', () => {
	let stub: DurableObjectStub<Account>
	let account: string
	let id: string
	const work = (epoch = 1) => ({ account, generation: id, epoch })
	const read = async (): Promise<Snapshot> => unwrap((await stub.read(key, id)) as Answer<Snapshot>)
	const finish = (epoch = 1) => stub.finish(work(epoch), { outcome: 'succeeded', inference_ms: 7 })
	const capture = (n: number, epoch = 1) => stub.capture(work(epoch), picture(n), receipt(epoch, n))
	/** Lets the lease run out, and the alarm ring. */
	const outlast = async () => {
		vi.setSystemTime(Date.now() + lease + 1)
		expect(await runDurableObjectAlarm(stub)).toBe(true)
	}
	const rows = (sql: string) =>
		runInDurableObject(stub, (_: Account, { storage }) => storage.sql.exec(sql).toArray() as Record<string, unknown>[])

	stopClock()
	beforeEach(async () => {
		account = `t-${randomText(10)}`
		stub = env.ACCOUNT.getByName(account)
		await stub.makeKey({ account, key: null }, key, { name: 'test', scopes: ['generate', 'read'], expires_at: null, limits: {} })
		await stub.credit(account, plenty, 'a test')
		id = unwrap(await submitTo(stub, key, order)).id
	})

	it('keeps what it accepted, queued and due, when it is evicted', async () => {
		await evictDurableObject(stub)
		expect(await read()).toMatchObject({ status: 'queued', request, images: [], progress: null, error: null })
		expect(await rows('SELECT kind, subject FROM due')).toEqual([{ kind: 'enqueue', subject: id }])
		expect(await runInDurableObject(stub, (_: Account, { storage }) => storage.getAlarm())).not.toBeNull()
	})

	it('does what else is due where it fails for one generation, which it comes back to', async () => {
		const late = { ...order, terms: { ...order.terms, deadline: 60 } }
		const [first, second] = [unwrap(await submitTo(stub, key, late)), unwrap(await submitTo(stub, key, late))]
		await rows(
			`CREATE TRIGGER broken BEFORE UPDATE OF status ON generations WHEN OLD.id = '${first.id}'
			BEGIN SELECT RAISE(ABORT, 'a row that cannot be changed'); END`
		)
		vi.setSystemTime(Date.now() + 60_001)
		const statusOf = async ({ id }: Snapshot) => (unwrap((await stub.read(key, id)) as Answer<Snapshot>) as Snapshot).status
		expect(await statusOf(first)).toBe('queued')
		expect([await statusOf(first), await statusOf(second)]).toEqual(['queued', 'expired'])
		expect(await rows("SELECT subject, tries FROM due WHERE kind = 'deadline'")).toEqual([{ subject: first.id, tries: 1 }])
		expect(await rows(`SELECT kind FROM ledger WHERE generation = '${first.id}'`)).toEqual([{ kind: 'hold' }])
		await rows('DROP TRIGGER broken')
		vi.setSystemTime(Date.now() + 1_001)
		await statusOf(first)
		expect(await statusOf(first)).toBe('expired')
	})

	it('tries an unreachable queue again and again, each time later', async () => {
		const tries = async () => (await rows('SELECT tries, at FROM due'))[0] as { tries: number; at: number }
		await vi.waitFor(async () => expect((await tries()).tries).toBe(1), { timeout: 8_000, interval: 50 })
		const first = await tries()
		expect(first.at - Date.now()).toBeLessThanOrEqual(500)
		vi.setSystemTime(first.at)
		await runDurableObjectAlarm(stub)
		await vi.waitFor(async () => expect((await tries()).tries).toBe(2), { timeout: 8_000, interval: 50 })
		expect((await tries()).at - Date.now()).toBeGreaterThan(500)
	})

	it('answers only to its own keys', async () => {
		expect(faultOf(await submitTo(stub, 'another hash', order))).toBe('unauthorized')
		expect(faultOf(await stub.read('another hash', id))).toBe('unauthorized')
		expect(await rows('SELECT count(*) AS n FROM generations')).toEqual([{ n: 1 }])
	})

	it('grants an epoch to one run, as often as that asks', async () => {
		const granted = { value: { request, lease, delivered: [], priority: 1, checkpointed: null } }
		expect(await stub.start(work(), 'run-one-one')).toEqual(granted)
		expect(await stub.start(work(), 'run-one-one')).toEqual(granted)
		expect(faultOf(await stub.start(work(), 'run-two-two'))).toBe('superseded')
		expect(await read()).toMatchObject({ status: 'processing', started_at: expect.any(String) })
		expect(await rows('SELECT kind FROM due')).toEqual([{ kind: 'lease' }])
	})

	it('grants no epoch but the current one', async () => {
		expect(faultOf(await stub.start(work(2), 'run-one-one'))).toBe('superseded')
		expect(await read()).toMatchObject({ status: 'queued' })
	})

	it('hears of no work that was not started', async () => {
		expect(faultOf(await stub.progress(work(), { done: 1, total: 2 }))).toBe('superseded')
		expect(faultOf(await capture(0))).toBe('superseded')
		expect(faultOf(await finish())).toBe('superseded')
		expect(await read()).toMatchObject({ status: 'queued', images: [], progress: null })
	})

	it('shows progress while it is processing, which does not go back where a node does something again', async () => {
		await stub.start(work(), 'run-one-one')
		for (const [done, told] of [
			[3, 3],
			[2, 3],
			[9, 8]
		] as const) {
			await stub.progress(work(), { done, total: 8 })
			expect(await read()).toMatchObject({ status: 'processing', progress: { done: told, total: 8 } })
		}
	})

	it('leaves the work to a holder whose calls renew the lease, each of them', async () => {
		for (const beat of [
			() => stub.start(work(), 'run-one-one'),
			() => stub.start(work(), 'run-one-one'),
			() => stub.progress(work(), { done: 3, total: 50 }),
			() => stub.confirm(work()),
			() => stub.checkpointed(work()),
			() => stub.permit(work(), 0),
			() => capture(0)
		]) {
			expect(faultOf(await beat())).toBe('no fault')
			vi.setSystemTime(Date.now() + lease - 1_000)
			await runDurableObjectAlarm(stub)
		}
		expect(await read()).toMatchObject({ status: 'processing' })
		expect(faultOf(await finish())).toBe('undelivered')
	})

	it('gives silent work away, and fences the silent node', async () => {
		await stub.start(work(), 'run-one-one')
		await stub.progress(work(), { done: 3, total: 50 })
		await outlast()
		expect(await read()).toMatchObject({ status: 'queued', progress: null })
		expect(await rows('SELECT epoch FROM generations')).toEqual([{ epoch: 2 }])
		for (const answered of [
			await stub.start(work(), 'run-one-one'),
			await stub.progress(work(), { done: 4, total: 50 }),
			await stub.permit(work(), 0),
			await capture(0),
			await finish(),
			await stub.finish(work(), { outcome: 'failed', detail: 'late' })
		]) {
			expect(faultOf(answered)).toBe('superseded')
		}
		expect(await stub.start(work(2), 'run-two-two')).toMatchObject({ value: { delivered: [] } })
	})

	it('waits for no clock that was ahead when work was begun', async () => {
		const real = Date.now()
		vi.setSystemTime(real + 5 * hour)
		const waiting = unwrap(await submitTo(stub, key, order)).id
		await stub.start(work(), 'run-one-one')
		vi.setSystemTime(real)
		await evictDurableObject(stub)
		// A holder that is heard keeps its work.
		for (let done = 1; done <= 3; done++) {
			vi.setSystemTime(Date.now() + lease - 1_000)
			await stub.progress(work(), { done, total: 50 })
			expect(await read()).toMatchObject({ status: 'processing', progress: { done, total: 50 } })
		}
		await outlast()
		expect(await read()).toMatchObject({ status: 'queued' })
		const [shown] = await rows(`SELECT at FROM due WHERE kind = 'enqueue' AND subject = '${waiting}'`)
		expect(shown?.at).toBeLessThan(Date.now() + 60_000)
	})

	it('gives work away whose holder was lost before the clock was set back', async () => {
		const real = Date.now()
		vi.setSystemTime(real + 5 * hour)
		await stub.start(work(), 'run-one-one')
		vi.setSystemTime(real)
		await evictDurableObject(stub)
		expect(await read()).toMatchObject({ status: 'processing' })
		await outlast()
		expect(await read()).toMatchObject({ status: 'queued' })
	})

	it('lets a late holder go on while nobody else asked', async () => {
		await stub.start(work(), 'run-one-one')
		vi.setSystemTime(Date.now() + lease + 1)
		expect(await stub.progress(work(), { done: 3, total: 50 })).toEqual({ value: { viewed: false } })
		await runDurableObjectAlarm(stub)
		expect(await read()).toMatchObject({ status: 'processing', progress: { done: 3 } })
	})

	it('needs no alarm to see that a holder is silent', async () => {
		await stub.start(work(), 'run-one-one')
		vi.setSystemTime(Date.now() + lease + 1)
		expect(faultOf(await stub.start(work(), 'run-two-two'))).toBe('superseded')
		expect(await rows('SELECT epoch, status FROM generations')).toEqual([{ epoch: 2, status: 'queued' }])
	})

	it('queues again at once what is handed back, and tells the next one of the checkpoint', async () => {
		await stub.start(work(), 'run-one-one')
		expect(await stub.checkpointed(work())).toEqual({ value: undefined })
		expect(await stub.handBack(work())).toEqual({ value: undefined })
		expect(await rows('SELECT epoch, status, lost FROM generations')).toEqual([{ epoch: 2, status: 'queued', lost: 0 }])
		for (const answered of [await stub.handBack(work()), await stub.confirm(work()), await stub.checkpointed(work())]) {
			expect(faultOf(answered)).toBe('superseded')
		}
		expect(await stub.start(work(2), 'run-two-two')).toMatchObject({ value: { checkpointed: 1 } })
	})

	it('counts no attempt that was handed back', async () => {
		for (let epoch = 1; epoch <= mostAttempts; epoch++) {
			await stub.start(work(epoch), 'run-one-one')
			await stub.handBack(work(epoch))
		}
		await stub.start(work(mostAttempts + 1), 'run-one-one')
		await outlast()
		expect(await read()).toMatchObject({ status: 'queued' })
	})

	it('does not give up what gets on, however many nodes are lost', async () => {
		const lose = async (epoch: number, done: number) => {
			await stub.start(work(epoch), 'run-one-one')
			await stub.progress(work(epoch), { done, total: 50 })
			await outlast()
			return (await read()).status
		}
		for (let epoch = 1; epoch <= 3 * mostAttempts; epoch++) {
			expect(await lose(epoch, epoch)).toBe('queued')
		}
		// From here on none gets further.
		for (let i = 1; i < mostAttempts; i++) {
			expect(await lose(3 * mostAttempts + i, 3 * mostAttempts)).toBe(i < mostAttempts - 1 ? 'queued' : 'failed')
		}
	})

	it('gives up after the last attempt, and says so', async () => {
		for (let epoch = 1; epoch <= mostAttempts; epoch++) {
			expect(await stub.start(work(epoch), 'run-one-one')).toHaveProperty('value')
			await outlast()
		}
		expect(await read()).toMatchObject({
			status: 'failed',
			error: { type: 'urn:darkroom:problem:attempts-exhausted', detail: expect.stringContaining('10 attempts') },
			completed_at: expect.any(String)
		})
		expect(faultOf(await stub.start(work(mostAttempts), 'run-one-one'))).toBe('ended')
		expect(await rows("SELECT * FROM due WHERE kind <> 'erase'")).toEqual([])
	})

	it('captures a picture once, with its receipt', async () => {
		await stub.start(work(), 'run-one-one')
		expect(await capture(0)).toEqual({ value: undefined })
		const first = await rows('SELECT key, size, etag, captured_at FROM pictures')
		expect(first).toEqual([{ ...receipt(1, 0), captured_at: expect.any(Number) }])
		vi.setSystemTime(Date.now() + 1_000)
		expect(await stub.capture(work(), picture(0), { ...receipt(1, 0), key: 'other' })).toEqual({ value: undefined })
		expect(await rows('SELECT key, size, etag, captured_at FROM pictures')).toEqual(first)
	})

	it.each([
		['/n', { ...picture(0), n: 2 }],
		['/width', { ...picture(0), width: 64 }],
		['/height', { ...picture(0), height: 64 }],
		['/seed', { ...picture(0), seed: 5 }],
		['/content_type', { ...picture(0), content_type: 'image/webp' as const }]
	])('captures no picture that was not asked for: %s', async (pointer, reported) => {
		await stub.start(work(), 'run-one-one')
		const answered = await stub.capture(work(), reported, receipt(1, 0))
		expect(answered).toMatchObject({ fault: { code: 'invalid-request' } })
		expect('fault' in answered && answered.fault.errors?.map((error) => error.pointer)).toContain(pointer)
		expect((await read()).images).toEqual([])
	})

	it('succeeds only when every picture was captured', async () => {
		await stub.start(work(), 'run-one-one')
		expect(faultOf(await finish())).toBe('undelivered')
		await capture(1)
		expect(faultOf(await finish())).toBe('undelivered')
		await capture(0)
		expect(await finish()).toEqual({ value: undefined })
		expect(await read()).toMatchObject({
			status: 'succeeded',
			progress: null,
			metrics: { inference_ms: 7 },
			// uint32: the seed after the last is 0.
			images: [
				{ n: 0, key: 'g/1/0', seed: 0xffff_ffff },
				{ n: 1, key: 'g/1/1', seed: 0 }
			]
		})
		expect(await rows("SELECT * FROM due WHERE kind <> 'erase'")).toEqual([])
	})

	it('tells what the edge and the node warned of', async () => {
		const cropped = { code: 'image-cropped', detail: 'at the edge' }
		const truncated = { code: 'prompt-truncated', detail: 'on the node' }
		id = unwrap(await submitTo(stub, key, order, [cropped])).id
		expect(await read()).toMatchObject({ warnings: [cropped] })
		await stub.start(work(), 'run-one-one')
		await capture(0)
		await capture(1)
		await stub.finish(work(), { outcome: 'succeeded', inference_ms: 7, warnings: [truncated] })
		expect(await read()).toMatchObject({ warnings: [cropped, truncated] })
	})

	it('keeps pictures that an older epoch delivered', async () => {
		await stub.start(work(), 'run-one-one')
		await capture(0)
		await outlast()
		expect(await stub.start(work(2), 'run-two-two')).toMatchObject({ value: { delivered: [0] } })
		expect(await capture(0, 2)).toEqual({ value: undefined })
		await capture(1, 2)
		await finish(2)
		expect((await read()).images.map((image) => image.key)).toEqual(['g/1/0', 'g/2/1'])
	})

	it('lets cancel and capture race, picture by picture', async () => {
		await stub.start(work(), 'run-one-one')
		await capture(0)
		expect(await stub.cancel(key, id)).toMatchObject({ value: { status: 'canceled', images: [{ n: 0 }] } })
		expect(faultOf(await capture(1))).toBe('ended')
		expect(faultOf(await finish())).toBe('ended')
		expect(await stub.cancel(key, id)).toEqual({ value: await read() })
		expect(await rows('SELECT kind FROM due')).toEqual([{ kind: 'erase' }])
	})

	it('never leaves a terminal state', async () => {
		await stub.start(work(), 'run-one-one')
		await stub.finish(work(), { outcome: 'failed', detail: 'NaN at step 3' })
		const ended = await read()
		expect(ended).toMatchObject({
			status: 'failed',
			error: { type: 'urn:darkroom:problem:engine-failed', detail: 'NaN at step 3' }
		})
		vi.setSystemTime(Date.now() + lease + 1)
		await runDurableObjectAlarm(stub)
		for (const answered of [
			await stub.start(work(), 'run-one-one'),
			await stub.progress(work(), { done: 4, total: 50 }),
			await stub.permit(work(), 0),
			await capture(0),
			await finish()
		]) {
			expect(faultOf(answered)).toBe('ended')
		}
		expect(await read()).toEqual(ended)
	})
})
