import { runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Delivery } from '../../shared/contract/webhooks.ts'
import { firstId } from '../../shared/ids.ts'
import { env, get, newAccount, post, stopClock } from '../testing.ts'
import type { Account } from './account.ts'
import { mostLooked } from './page.ts'

describe('A list of an account that has much', () => {
	let account: string
	let key: string
	/** Canceled, and older than all others. */
	let oldest: Generation
	let laterOn: number
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
		oldest = await (await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere' })).json<Generation>()
		vi.setSystemTime(Date.now() + 1_000)
		await post(`/v1/generations/${oldest.id}/cancel`, key, '')
		laterOn = Date.now() + 1_000
	})

	/** Rows with ids of `at`, from the first to the `last`. */
	const fill = (prefix: string, at: number, last: number, insert: string) =>
		runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) => {
			const ids = `SELECT '${firstId(prefix, at)}' || printf('%016d', n) AS new FROM counted`
			const counted = `counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ${last})`
			storage.sql.exec(`WITH RECURSIVE ${counted}, made AS (${ids}) ${insert}`)
		})
	const generations = async (query: string) => {
		const answer = await get(`/v1/generations?limit=2&${query}`, key)
		const { generations, next } = await answer.json<{ generations: Generation[]; next: string | null }>()
		return { ids: generations.map(({ id }) => id), next }
	}
	const deliveries = async (query: string) => {
		const answer = await get(`/v1/webhooks/deliveries?limit=2&${query}`, key)
		const { deliveries, next } = await answer.json<{ deliveries: Delivery[]; next: string | null }>()
		return { ids: deliveries.map(({ id }) => id), next }
	}
	const develop = (at: number, last: number) =>
		fill(
			'gen',
			at,
			last,
			`INSERT INTO generations (id, request, model, status, epoch, created_at, completed_at)
			SELECT new, request, model, 'succeeded', 1, ${at}, ${at} FROM generations, made WHERE id = '${oldest.id}'`
		)

	it('looks through so many rows for a page, and goes on where it stopped', async () => {
		await develop(laterOn, mostLooked - 1)
		expect(await generations('status=canceled')).toEqual({ ids: [oldest.id], next: oldest.id })
		expect(await generations(`status=canceled&cursor=${oldest.id}`)).toEqual({ ids: [], next: null })
		await develop(laterOn + 1, 1)
		const { ids, next } = await generations('status=canceled')
		expect(ids).toEqual([])
		expect(await generations(`status=canceled&cursor=${next}`)).toEqual({ ids: [oldest.id], next: null })
		expect(await generations('model=none')).toEqual({ ids: [], next })
	})

	it('goes straight to a time', async () => {
		await develop(laterOn, mostLooked + 1)
		const time = (at: number) => new Date(at).toISOString()
		const { ids, next } = await generations(`created_after=${time(laterOn)}`)
		expect(ids).toEqual([`${firstId('gen', laterOn)}0000000000010001`, next])
		expect(await generations(`created_after=${time(laterOn + 1)}`)).toEqual({ ids: [], next: null })
		expect(await generations(`created_before=${time(laterOn)}`)).toEqual({ ids: [oldest.id], next: null })
		expect(await generations(`created_before=${oldest.created_at}`)).toEqual({ ids: [], next: null })
		expect(await generations(`created_before=${time(laterOn + 1)}&cursor=${oldest.id}`)).toEqual({ ids: [], next: null })
		expect(await generations('created_after=0001-01-01T00:00:00Z&created_before=9999-12-31T23:59:59Z')).toEqual({ ids, next })
	})

	it('finds the messages about a generation among all others', async () => {
		const send = (at: number, last: number, generation: string) =>
			fill(
				'msg',
				at,
				last,
				`INSERT INTO deliveries (id, lane, url, type, generation, at, status, due_at)
				SELECT new, 'https://a.test', 'https://a.test/', 'generation.canceled', '${generation}', ${at}, 'delivered', 0 FROM made`
			)
		await send(laterOn - 1_000, 2, oldest.id)
		await send(laterOn, mostLooked + 1, firstId('gen', laterOn).padEnd(30, '0'))
		const about = [2, 1].map((n) => `${firstId('msg', laterOn - 1_000)}000000000000000${n}`)
		expect(await deliveries(`generation=${oldest.id}`)).toEqual({ ids: about, next: null })
		expect(await deliveries(`generation=${oldest.id}&cursor=${about[0]}`)).toEqual({ ids: [about[1]], next: null })
		const { ids, next } = await deliveries('status=failed')
		expect(ids).toEqual([])
		expect(await deliveries(`status=delivered&cursor=${next}`)).toMatchObject({ next: about[0] })
	})
})
