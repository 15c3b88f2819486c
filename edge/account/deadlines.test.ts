import { runDurableObjectAlarm } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { AccountView } from '../../shared/contract/account.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Work } from '../callbacks/capability.ts'
import { call, codeOf, deliver, env, get, newAccount, post, stopClock } from '../testing.ts'

describe('A generation with a deadline', () => {
	let account: string
	let key: string
	let work: Work
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
	})

	const order = async (terms: object) => {
		const body = { model: 'scenes', prompt: 'a red sphere', count: 2, ...terms }
		const generation = await (await post('/v1/generations', key, body)).json<Generation>()
		work = { account, generation: generation.id, epoch: 1 }
		return generation
	}
	const start = () => call(work, 'start', { run: 'run-one-one' })
	const read = async () => (await get(`/v1/generations/${work.generation}`, key)).json<Generation>()
	/** Lets time go on, and the alarm ring. */
	const pass = async (ms: number) => {
		vi.setSystemTime(Date.now() + ms)
		await runDurableObjectAlarm(env.ACCOUNT.getByName(account))
	}

	it('expires when nobody has started it by then', async () => {
		const { deadline } = await order({ deadline: 60 })
		expect(Date.parse(deadline!) - Date.now()).toBe(60_000)
		await pass(59_999)
		expect(await read()).toMatchObject({ status: 'queued' })
		await pass(1)
		expect(await read()).toMatchObject({ status: 'expired', completed_at: expect.any(String) })
	})

	it('ends while it is worked on, and keeps what was delivered', async () => {
		const { request } = await order({ deadline: new Date(Date.now() + 5_000).toISOString() })
		await start()
		await deliver(work, 0, request.seed)
		vi.setSystemTime(Date.now() + 5_000)
		await deliver(work, 1, request.seed + 1)
		await pass(0)
		expect(await codeOf(await call(work, 'progress', { done: 1, total: 2 }))).toBe('409 ended')
		expect(await read()).toMatchObject({ status: 'expired', images: [{ n: 0 }, { n: 1 }] })
	})

	it('is delivered, and charged for, no later, however late the alarm is', async () => {
		const { cost, request } = await order({ deadline: 5 })
		await start()
		await deliver(work, 0, request.seed)
		vi.setSystemTime(Date.now() + 5_001)
		await expect(deliver(work, 1, request.seed + 1)).rejects.toThrow(/problem:ended/)
		expect(await read()).toMatchObject({ status: 'expired', images: [{ n: 0 }], cost: { held: 0, charged: cost.picture } })
	})

	it('to be started by expires when nobody has, and costs nothing', async () => {
		const stands = async () => {
			const { balance, in_flight } = await (await get('/v1/account', key)).json<AccountView>()
			return { balance, in_flight }
		}
		const before = await stands()
		const { start_deadline } = await order({ start_deadline: 1.5, deadline: 60 })
		expect(Date.parse(start_deadline!) - Date.now()).toBe(1_500)
		await pass(1_499)
		expect(await read()).toMatchObject({ status: 'queued' })
		await pass(1)
		expect(await read()).toMatchObject({ status: 'expired', started_at: null })
		expect(await stands()).toEqual(before)
	})

	it('cannot be started at its start deadline', async () => {
		await order({ start_deadline: 5 })
		vi.setSystemTime(Date.now() + 5_000)
		expect(await codeOf(await start())).toBe('409 ended')
	})

	it('that was started in time has until its deadline, even where it has to be started again', async () => {
		await order({ start_deadline: 5, deadline: 60 })
		await start()
		await call(work, 'yield', {})
		await pass(5_000)
		expect(await read()).toMatchObject({ status: 'queued' })
		await pass(54_999)
		expect(await read()).toMatchObject({ status: 'queued' })
		await pass(1)
		expect(await read()).toMatchObject({ status: 'expired' })
	})
})
