import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { findModel } from '../../shared/catalog.ts'
import { orderFor, takeApart } from '../../shared/contract/order.ts'
import { readEvents } from '../../shared/event-stream.ts'
import type { Account } from '../account/account.ts'
import type { Snapshot } from '../account/snapshot.ts'
import { unwrap } from '../errors.ts'
import { readKey } from '../keys.ts'
import { env, fetchEdge, get, newAccount, patience, post, remove, submitTo } from '../testing.ts'
import { hold } from './hold.ts'
import { Timeline } from './timeline.ts'
import type { Viewer } from './viewer.ts'

const order = takeApart(orderFor(findModel('scenes')!).parse({ model: 'scenes', prompt: 'a red sphere' }))

describe('Viewer', () => {
	let key: string
	let owner: { account: string; hash: string }
	let account: DurableObjectStub<Account>
	let viewer: DurableObjectStub<Viewer>
	let snapshot: Snapshot
	beforeEach(async () => {
		;({ key } = await newAccount())
		owner = readKey(env.DARKROOM_SECRET, key)!
		account = env.ACCOUNT.getByName(owner.account)
		snapshot = unwrap(await submitTo(account, owner.hash, order))
		viewer = env.VIEWER.getByName(snapshot.id)
	})

	afterEach(() => {
		vi.useRealTimers()
	})

	const end = async () => {
		const work = { account: owner.account, generation: snapshot.id, epoch: 1 }
		await account.start(work, 'run-one-one')
		await account.finish(work, { outcome: 'failed', detail: 'enough' })
	}
	/** Long enough to have begun to wait. */
	const moment = () => new Promise((resolve) => setTimeout(resolve, 200))

	it('is told of the end, whoever waits for it, without looking again', async () => {
		vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }) // By which it would look by itself.
		const waiting = [viewer.wait(owner.account, snapshot.id, 30_000), viewer.wait(owner.account, snapshot.id, 30_000)]
		await moment()
		await end()
		for (const seen of await Promise.all(waiting)) {
			expect(seen).toMatchObject({ id: snapshot.id, status: 'failed' })
		}
	})

	it('does not miss an end that came first', async () => {
		await end()
		expect(await viewer.wait(owner.account, snapshot.id, 10_000)).toMatchObject({ status: 'failed' })
	})

	it('lets go when the time is up', async () => {
		const began = Date.now()
		expect(await viewer.wait(owner.account, snapshot.id, 300)).toBeUndefined()
		expect(Date.now() - began).toBeGreaterThanOrEqual(250)
	})

	it('looks by itself for as long as anyone is here', async () => {
		vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
		const looks = (times: number) => vi.waitFor(() => expect(vi.getTimerCount()).toBe(times), patience)
		const waiting = viewer.wait(owner.account, snapshot.id, 500)
		const stream = await viewer.follow(owner.account, snapshot.id, undefined)
		await looks(1)
		await waiting
		expect(vi.getTimerCount()).toBe(1)
		await stream?.cancel()
		await looks(0)
		const told = viewer.wait(owner.account, snapshot.id, 10_000)
		await looks(1)
		await end()
		await told
		await looks(0)
	})

	it('is told no more once nobody is here, and again when one comes', async () => {
		const work = { account: owner.account, generation: snapshot.id, epoch: 1 }
		await account.start(work, 'run-one-one')
		const isViewed = (expected: boolean) =>
			vi.waitFor(async () => {
				const { viewed } = unwrap(await account.progress(work, { done: 1, total: 50 }))
				expect(viewed).toBe(expected)
			}, patience)
		const stream = await viewer.follow(owner.account, snapshot.id, undefined)
		await isViewed(true)
		await stream?.cancel()
		await isViewed(false)
		const waiting = viewer.wait(owner.account, snapshot.id, 10_000)
		await isViewed(true)
		await account.finish(work, { outcome: 'failed', detail: 'enough' })
		expect(await waiting).toMatchObject({ status: 'failed' })
	})

	it('tells no more to whoever follows with a key that was revoked', async () => {
		vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
		const admin = `/v1/admin/accounts/${owner.account}/keys`
		const { id, key: other } = await (await post(admin, env.ADMIN_TOKEN, {})).json<{ id: string; key: string }>()
		const events = `/v1/generations/${snapshot.id}/events`
		const [mine, theirs] = await Promise.all([get(events, key), get(events, other)])
		await remove(`${admin}/${id}`, env.ADMIN_TOKEN)
		const work = { account: owner.account, generation: snapshot.id, epoch: 1 }
		await account.start(work, 'run-one-one')
		await vi.advanceTimersByTimeAsync(5_000)
		let told: string | undefined
		void theirs.text().then((text) => {
			told = text
		})
		let done = 0
		await vi.waitFor(async () => {
			await account.progress(work, { done: done++, total: 50 })
			expect(told).toBeDefined()
		}, patience)
		expect(told).not.toContain('event: end')
		await account.finish(work, { outcome: 'failed', detail: 'enough' })
		expect(await mine.text()).toContain('event: end')
	})

	it('tells no more to whoever follows what was deleted unseen: the Account had just been started anew, and knew of no Viewer', async () => {
		const at = `/v1/generations/${snapshot.id}`
		const events = await get(`${at}/events`, key)
		await evictDurableObject(account)
		expect((await remove(at, key)).status).toBe(204)
		let told: string | undefined
		void events.text().then((text) => {
			told = text
		})
		// It looks by itself after five seconds.
		await vi.waitFor(() => expect(told).toBeDefined(), patience)
		expect(told).not.toContain('event: end')
	})

	it('keeps of partial images what an isolate has room for, the latest ones, and loses none to who follows', async () => {
		const viewers = Array.from({ length: 6 }, () => env.VIEWER.newUniqueId()).map((id) => env.VIEWER.get(id))
		const data = 'A'.repeat(200_000)
		const heard = async (one: DurableObjectStub<Viewer>) => {
			const events = (await one.follow(owner.account, snapshot.id, undefined))!
			const told: string[] = []
			for await (const { event } of readEvents(events)) {
				told.push(event)
				if (event === 'end') {
					break
				}
			}
			return told.filter((event) => event === 'partial_image').length
		}
		const followed = heard(viewers[0]!)
		for (const one of viewers) {
			for (let n = 0; n < 8; n++) {
				for (let index = 0; index < 3; index++) {
					await one.show([], { n, index, step: 1 + index, content_type: 'image/webp', data })
				}
			}
		}
		await end()
		expect(await followed).toBe(24)
		expect(await Promise.all(viewers.map(heard))).toEqual([5, 24, 24, 24, 24, 24])
	})

	it('leaves nothing in memory of what it has told, once it has vanished', async () => {
		const told = () => {
			const timeline = new Timeline()
			timeline.add({ type: 'partial_image', n: 0, index: 0, step: 1, content_type: 'image/webp', data: 'UklGRg==' })
			return new WeakRef(timeline)
		}
		const all = Array.from({ length: 10 }, told)
		// The runtime lets nobody ask for a collection, but makes one for whoever allocates much.
		await vi.waitFor(() => {
			void Array.from({ length: 1_000_000 }, (_, i) => ({ i }))
			expect(all.filter((one) => one.deref())).toEqual([])
		}, patience)
	})

	it('has nobody here who asked for the head of its events alone', async () => {
		vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
		const headers = { authorization: `Bearer ${key}` }
		const answer = await fetchEdge(`/v1/generations/${snapshot.id}/events`, { method: 'HEAD', headers })
		expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
		await vi.waitFor(() => expect(vi.getTimerCount()).toBe(0), patience)
	})

	it('may vanish: its readers ask the Account', async () => {
		const held = hold(env, owner, snapshot, 10)
		await moment()
		await runInDurableObject(viewer, (_: Viewer, state) => state.abort('gone')).catch(() => {})
		await end()
		expect(await held).toMatchObject({ status: 'failed' })
	})

	describe('where an object neither answers nor fails', () => {
		/** Until the runtime resets it, after half a minute: it is `over` then. */
		const stop = async (object: DurableObjectStub<Viewer> | DurableObjectStub<Account>) => {
			const never = new Promise<void>(() => {})
			const silence = { over: false }
			runInDurableObject<Viewer | Account, void>(object, (_, state) => state.blockConcurrencyWhile(() => never)).catch(() => {
				silence.over = true
			})
			await moment()
			return silence
		}

		it('the Viewer: whoever waits is told how it stands, hardly later than asked for', async () => {
			const silence = await stop(viewer)
			const answer = await get(`/v1/generations/${snapshot.id}`, key, { prefer: 'wait=1' })
			expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ status: 'queued' })])
			expect(silence.over).toBe(false)
		})

		it('the Account, while someone waits: what was known', async () => {
			const held = hold(env, owner, snapshot, 1)
			const silence = await stop(account)
			expect(await held).toEqual(snapshot)
			expect(silence.over).toBe(false)
		})

		it('the Account, from the beginning: that it cannot be reached', async () => {
			const silence = await stop(account)
			const order = { prompt: 'a red sphere', model: 'scenes' }
			const answers = await Promise.all([
				get(`/v1/generations/${snapshot.id}`, key, { prefer: 'wait=1' }),
				get(`/v1/generations/${snapshot.id}/events`, key),
				post('/v1/generations', key, order, { prefer: 'wait=1' }),
				post('/openai/v1/images/generations', key, order),
				post('/replicate/v1/models/darkroom/scenes/predictions', key, { input: { prompt: 'x' } }, { prefer: 'wait=1' }),
				post('/fal/run/darkroom/scenes', key, { prompt: 'x' })
			])
			expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual(answers.map(() => [503, '1']))
			expect(answers[3]?.headers.get('x-should-retry')).toBe('true')
			await moment()
			expect(silence.over).toBe(false)
		})
	})

	it('lets readers know what was known where the Account cannot be asked, for they have ordered', async () => {
		await runInDurableObject(account, (_, { storage: { kv } }) => kv.put('schema', kv.get<number>('schema')! + 1))
		await evictDurableObject(account)
		expect(await hold(env, owner, snapshot, 1)).toEqual(snapshot)
	})

	it('lets go of readers whose time is up by a clock that was set back meanwhile', async () => {
		vi.useFakeTimers({ toFake: ['Date'] })
		const held = hold(env, owner, snapshot, 1)
		vi.setSystemTime(Date.now() - 3_600_000)
		expect(await held).toMatchObject({ status: 'queued' })
	})

	it('gives the state as it is to readers whose time is up', async () => {
		expect(await hold(env, owner, snapshot, 1)).toMatchObject({ status: 'queued' })
	})
})
