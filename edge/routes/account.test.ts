import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it } from 'vitest'
import type { AccountView, ApiKey, LedgerEntry, Usage } from '../../shared/contract/account.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Problem } from '../../shared/contract/problem.ts'
import { Ledger } from '../account/ledger.ts'
import { dayOf, mostRows } from '../account/usage.ts'
import { auditOf, call, codeOf, deliver, env, get, newAccount, plenty, post, remove } from '../testing.ts'

const order = { model: 'scenes', prompt: 'a red sphere', seed: 5, count: 2 }
/** Of 128 × 128 pixels in 25 steps. */
const price = 1_410

describe('an account', () => {
	let account: string
	let key: string
	beforeEach(async () => {
		;({ account, key } = await newAccount())
	})
	const admin = (path: string, body: unknown = {}) => post(`/v1/admin/accounts/${account}${path}`, env.ADMIN_TOKEN, body)
	const balance = async () => (await (await get('/v1/account', key)).json<{ balance: object }>()).balance
	const read = async (id: string) => (await get(`/v1/generations/${id}`, key)).json<Generation>()
	const audit = () => auditOf(account)
	const submit = async (fields: object = {}, by = key) =>
		(await post('/v1/generations', by, { ...order, ...fields })).json<Generation>()
	const work = (generation: Generation) => ({ account, generation: generation.id, epoch: 1 })
	const startAndDeliver = async (generation: Generation, n: number) => {
		await call(work(generation), 'start', { run: 'run-one-one' })
		await deliver(work(generation), n, 5 + n)
	}

	it('is charged for delivered pictures alone', async () => {
		const generation = await submit()
		expect(generation.cost).toEqual({ picture: price, held: 2 * price, charged: 0 })
		expect(await balance()).toEqual({ available: plenty - 2 * price, held: 2 * price, charged: 0 })
		await startAndDeliver(generation, 1)
		expect((await read(generation.id)).cost).toEqual({ picture: price, held: price, charged: price })
		expect(await balance()).toEqual({ available: plenty - 2 * price, held: price, charged: price })
		await post(`/v1/generations/${generation.id}/cancel`, key, '')
		expect((await read(generation.id)).cost).toEqual({ picture: price, held: 0, charged: price })
		expect(await balance()).toEqual({ available: plenty - price, held: 0, charged: price })
		expect(await audit()).toEqual({ differences: [], objects: 1 })
	})

	it('is not charged for what fails', async () => {
		const generation = await submit()
		await call(work(generation), 'start', { run: 'run-one-one' })
		await call(work(generation), 'finish', { outcome: 'failed', detail: 'NaN' })
		expect(await balance()).toEqual({ available: plenty, held: 0, charged: 0 })
	})

	it('keeps what it paid for deleted pictures in its books', async () => {
		const generation = await submit({ count: 1 })
		await startAndDeliver(generation, 0)
		await remove(`/v1/generations/${generation.id}`, key)
		expect(await balance()).toEqual({ available: plenty - price, held: 0, charged: price })
		expect(await audit()).toEqual({ differences: [], objects: 0 })
	})

	it('gets back what its admin refunds, once', async () => {
		const generation = await submit()
		await startAndDeliver(generation, 0)
		expect(await codeOf(await admin(`/generations/${generation.id}/refund`))).toBe('409 not-ended')
		await post(`/v1/generations/${generation.id}/cancel`, key, '')
		expect((await admin(`/generations/${generation.id}/refund`)).status).toBe(200)
		expect((await read(generation.id)).cost).toEqual({ picture: price, held: 0, charged: 0 })
		expect(await codeOf(await admin(`/generations/${generation.id}/refund`))).toBe('404 not-found')
		expect(await audit()).toEqual({ differences: [], objects: 1 })
	})

	it('orders nothing that it cannot pay for', async () => {
		const poor = await (await post(`/v1/admin/accounts/${account}-poor/keys`, env.ADMIN_TOKEN, {})).json<{ key: string }>()
		await post(`/v1/admin/accounts/${account}-poor/credits`, env.ADMIN_TOKEN, { amount: 2 * price - 1, reference: 'a' })
		const refused = await post('/v1/generations', poor.key, order)
		expect(await refused.clone().json()).toMatchObject({
			detail: 'The order may cost 0.00282, and the account has credit of 0.002819.',
			needed: 2 * price,
			available: 2 * price - 1
		})
		expect(await codeOf(refused)).toBe('402 insufficient-credit')
		expect((await post('/v1/generations', poor.key, { ...order, count: 1 })).status).toBe(202)
		expect(await (await get('/v1/generations', poor.key)).json<{ generations: object[] }>()).toMatchObject({ generations: [{}] })
	})

	it('is credited once under a reference', async () => {
		expect(await (await admin('/credits', { amount: 5, reference: 'r' })).json()).toMatchObject({ available: plenty + 5 })
		expect(await (await admin('/credits', { amount: 5, reference: 'r' })).json()).toMatchObject({ available: plenty + 5 })
		expect(await codeOf(await admin('/credits', { amount: 6, reference: 'r' }))).toBe('409 reference-reused')
		expect(await codeOf(await post(`/v1/admin/accounts/${account}/credits`, key, { amount: 1, reference: 't' }))).toBe(
			'401 unauthorized'
		)
	})

	it('gives back what it has not spent, and no more, once under a reference', async () => {
		const generation = await submit({ count: 1 })
		const most = plenty - price
		expect(await codeOf(await admin('/credits', { amount: -most - 1, reference: 'r' }))).toBe('422 invalid-request')
		expect(await codeOf(await admin('/credits', { amount: 0, reference: 'r' }))).toBe('422 invalid-request')
		for (const _ of [1, 2]) {
			expect(await (await admin('/credits', { amount: -most, reference: 'r' })).json()).toEqual({
				available: 0,
				held: price,
				charged: 0
			})
		}
		expect(await codeOf(await admin('/credits', { amount: most, reference: 'r' }))).toBe('409 reference-reused')
		await startAndDeliver(generation, 0)
		const { entries } = await (await get('/v1/ledger', key)).json<{ entries: LedgerEntry[] }>()
		expect(entries[1]).toMatchObject({ kind: 'debit', from: 'available', to: 'funds', amount: most, reference: 'r' })
		expect(await audit()).toEqual({ differences: [], objects: 1 })
	})

	it('is given no more than can be counted', async () => {
		const room = Number.MAX_SAFE_INTEGER - plenty
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage: { sql } }) => {
			const ledger = new Ledger(sql)
			expect(() => ledger.credit(room + 1, 'r', 0)).toThrow(`/amount: expected at most ${room} micro-units`)
			ledger.credit(room, 's', 0)
		})
		expect(await codeOf(await admin('/credits', { amount: 1, reference: 't' }))).toBe('422 invalid-request')
		expect(await audit()).toEqual({ differences: [], objects: 0 })
	})

	it('can ask what an order would cost', async () => {
		const answer = await post('/v1/generations?dry_run=1', key, order)
		expect(answer.status).toBe(200)
		expect(await answer.json()).toMatchObject({
			request: { width: 128, steps: 25 },
			cost: { picture: price, total: 2 * price },
			available: plenty,
			warnings: []
		})
		expect(await (await get('/v1/generations', key)).json()).toEqual({ generations: [], next: null })
		const past = '2020-01-01T00:00:00Z'
		for (const wrong of [
			{ steps: 0 },
			{ webhook: 'https://' },
			{ webhook: { url: 'https://10.0.0.1/' } },
			{ deadline: past },
			{ start_deadline: past }
		]) {
			expect(await codeOf(await post('/v1/generations?dry_run=1', key, { ...order, ...wrong }))).toBe('422 invalid-request')
		}
	})

	it('lists every move of money, page by page', async () => {
		const generation = await submit({ count: 1 })
		await startAndDeliver(generation, 0)
		const page = async (query: string) =>
			(await get(`/v1/ledger?${query}`, key)).json<{ entries: LedgerEntry[]; next: number | null }>()
		const first = await page('limit=2')
		expect(first.entries).toMatchObject([
			{ kind: 'capture', from: 'held', to: 'charged', amount: price, generation: generation.id, picture: 0 },
			{ kind: 'hold', from: 'available', to: 'held', amount: price, generation: generation.id, picture: null }
		])
		expect(await page(`limit=2&cursor=${first.next}`)).toMatchObject({
			entries: [{ kind: 'credit', reference: 'a test' }],
			next: null
		})
	})

	it('counts its usage by day, model and key, as JSON and as CSV', async () => {
		const generation = await submit()
		await startAndDeliver(generation, 0)
		await startAndDeliver(generation, 1)
		const { usage } = await (await get('/v1/usage', key)).json<{ usage: Usage[] }>()
		expect(usage).toEqual([
			{
				day: new Date().toISOString().slice(0, 10),
				model: 'scenes',
				key: expect.stringMatching(/^key_/),
				key_name: 'default',
				pictures: 2,
				amount: 2 * price
			}
		])
		const csv = await (await get('/v1/usage', key, { accept: 'text/csv' })).text()
		const { day, key: id } = usage[0]!
		expect(csv).toBe(`day,model,key,key_name,pictures,amount\r\n${day},scenes,${id},default,2,${2 * price}\r\n`)
		expect(await (await get('/v1/usage?from=2001-01-01&to=2001-12-31', key)).json()).toEqual({ usage: [] })
		expect(await codeOf(await get('/v1/usage?from=yesterday', key))).toBe('422 invalid-request')
		const ahead = await (await get('/v1/usage?from=2001-12-31&to=2001-01-01', key)).json<Problem>()
		expect(ahead.detail).toBe('/from: expected a day that is not after 2001-01-01, got "2001-12-31".')
		expect(await codeOf(await get('/v1/usage?from=9999-01-01', key))).toBe('422 invalid-request')
	})

	it('shows a spreadsheet the names of its keys, and no formulas', async () => {
		const { key: other } = await (await admin('/keys', { name: '=SUM(1,"2")' })).json<{ key: string }>()
		await startAndDeliver(await submit({}, other), 0)
		const csv = await (await get('/v1/usage', key, { accept: 'text/csv' })).text()
		expect(csv).toContain(`,"'=SUM(1,""2"")",1,${price}\r\n`)
	})

	it('counts its usage of thirty days, the last among them', async () => {
		await submit()
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage: { sql } }) => {
			for (const days of [0, 29, 30, 59, 60]) {
				sql.exec(
					`INSERT INTO usage (day, key, model, pictures, amount) SELECT date('now', ?), key, 'scenes', 1, 1 FROM generations`,
					`-${days} days`
				)
			}
		})
		const { usage } = await (await get('/v1/usage', key)).json<{ usage: Usage[] }>()
		expect(usage).toHaveLength(2)
		const before = await (await get(`/v1/usage?to=${dayOf(Date.now() - 30 * 86_400_000)}`, key)).json<{ usage: Usage[] }>()
		expect(before.usage).toHaveLength(2)
	})

	it('counts no more of its usage at once than an object can hold', async () => {
		await submit()
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage: { sql } }) => {
			sql.exec(
				`INSERT INTO usage (day, key, model, pictures, amount)
				WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < ${mostRows})
				SELECT date('2001-01-01', '+' || (i / 100) || ' days'), (SELECT key FROM generations), 'model ' || (i % 100), 1, 1 FROM numbers`
			)
		})
		const [most, more] = ['2002-05-15', '2002-05-16'].map((to) => get(`/v1/usage?from=2001-01-01&to=${to}`, key))
		expect((await (await most)!.json<{ usage: Usage[] }>()).usage).toHaveLength(mostRows)
		const refused = await (await more)!.json<Problem>()
		expect(refused.detail).toBe(`/to: expected a time of at most ${mostRows} rows, got more until 2002-05-16 already.`)
	})

	it('lets each key do what its scopes allow', async () => {
		const make = async (scopes: string[]) => (await (await post('/v1/keys', key, { scopes })).json<{ key: string }>()).key
		const [generates, reads] = [await make(['generate']), await make(['read'])]
		const generation = await submit({}, generates)
		expect((await get(`/v1/generations/${generation.id}`, generates)).status).toBe(200)
		expect((await get('/v1/account', reads)).status).toBe(200)
		expect(await codeOf(await post('/v1/generations', reads, order))).toBe('403 forbidden')
	})

	it('rotates keys with an overlap, and revokes them at once', async () => {
		const made = await (await post('/v1/keys', key, { name: 'shop' })).json<ApiKey & { key: string }>()
		const next = await (await post(`/v1/keys/${made.id}/rotate`, key, { overlap: 0 })).json<ApiKey & { key: string }>()
		expect(next).toMatchObject({ name: 'shop', scopes: made.scopes })
		expect(await codeOf(await get('/v1/account', made.key))).toBe('401 unauthorized')
		const third = await (await post(`/v1/keys/${next.id}/rotate`, key, { overlap: 60 })).json<{ key: string }>()
		expect((await get('/v1/account', next.key)).status).toBe(200)
		expect((await get('/v1/account', third.key)).status).toBe(200)
		await remove(`/v1/keys/${next.id}`, key)
		expect(await codeOf(await get('/v1/account', next.key))).toBe('401 unauthorized')
		expect(await codeOf(await post(`/v1/keys/${next.id}/rotate`, key, {}))).toBe('404 not-found')
		const { keys } = await (await get('/v1/keys', key)).json<{ keys: ApiKey[] }>()
		expect(keys).toHaveLength(4)
		expect(keys.find(({ id }) => id === next.id)).toMatchObject({
			last_used_at: expect.any(String),
			revoked_at: expect.any(String)
		})
		expect(JSON.stringify(keys)).not.toContain('dk_')
	})

	it('rotates a key once more, whose answer was lost, into one that is valid for as long', async () => {
		const rotate = async (id: string) => (await post(`/v1/keys/${id}/rotate`, key, {})).json<ApiKey>()
		for (const expires_at of [null, new Date(Date.now() + 30 * 86_400_000).toISOString()]) {
			const { id } = await (await post('/v1/keys', key, { expires_at })).json<ApiKey>()
			expect((await rotate(id)).expires_at).toBe(expires_at)
			expect((await rotate(id)).expires_at).toBe(expires_at)
		}
	})

	it('lists its keys page by page, newest first', async () => {
		const made = await Promise.all(['a', 'b', 'c'].map(async (name) => (await post('/v1/keys', key, { name })).json<ApiKey>()))
		const page = async (query: string) => {
			const { keys, next } = await (await get(`/v1/keys?${query}`, key)).json<{ keys: ApiKey[]; next: string | null }>()
			return { ids: keys.map(({ id }) => id), next }
		}
		const { ids, next } = await page('')
		expect([ids.toSorted().reverse(), next]).toEqual([ids, null])
		expect(ids).toEqual(expect.arrayContaining(made.map(({ id }) => id)))
		expect(await page('limit=2')).toEqual({ ids: ids.slice(0, 2), next: ids[1] })
		expect(await page(`limit=2&cursor=${ids[1]}`)).toEqual({ ids: ids.slice(2), next: null })
		for (const query of ['limit=0', 'limit=501', 'cursor=gen_00000000000000000000000000', 'page=2']) {
			expect(await codeOf(await get(`/v1/keys?${query}`, key))).toBe('422 invalid-request')
		}
	})

	it('has a hundred valid keys at most', async () => {
		const make = () => post('/v1/keys', key, {})
		const { id } = await (await make()).json<ApiKey>()
		for (let n = 2; n < 100; n++) {
			expect((await make()).status).toBe(201)
		}
		expect(await codeOf(await make())).toBe('409 too-many-keys')
		const rotate = (overlap: number) => post(`/v1/keys/${id}/rotate`, key, { overlap })
		expect(await codeOf(await rotate(60))).toBe('409 too-many-keys')
		// What was refused has changed nothing.
		const { keys } = await (await get('/v1/keys', key)).json<{ keys: ApiKey[] }>()
		expect(keys.find((one) => one.id === id)).toMatchObject({ expires_at: null })
		const rotated = await (await rotate(0)).json<ApiKey>()
		expect(await codeOf(await make())).toBe('409 too-many-keys')
		await remove(`/v1/keys/${rotated.id}`, key)
		expect((await make()).status).toBe(201)
	})

	it('shows its admin whatever the books do not make', async () => {
		const generation = await submit()
		await startAndDeliver(generation, 0)
		await env.BUCKET.put(`${generation.id}/1/0`, 'tset')
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) => {
			storage.sql.exec("UPDATE tallies SET available = available - 7, held = held + 7 WHERE subject = ''")
			storage.sql.exec('UPDATE usage SET pictures = 3')
			storage.sql.exec('UPDATE generations SET refunded = 1')
			storage.sql.exec('UPDATE pictures SET n = 1')
		})
		const { differences } = await audit()
		for (const expected of ['balance available', 'balance held', 'charge without', 'not charged', 'usage', 'refund', 'receipt']) {
			expect(differences).toContainEqual(expect.stringContaining(expected))
		}
	})

	it('is audited page by page, each object once', async () => {
		const { id } = await submit()
		const numbers = (most: number) =>
			`WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ${most})`
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage: { sql } }) => {
			sql.exec(
				`INSERT INTO pictures ${numbers(1_001)} SELECT '${id}', i, '${id}/1/' || i, 4, 'e', 0, 'image/png', 1, 1, 1 FROM numbers`
			)
			sql.exec(`INSERT INTO archives ${numbers(100)} SELECT 'gen_' || i, 'gen_' || i, 0, 1, 0, 0, 0, 0, 0, 0, 1, i FROM numbers`)
		})
		const put = (_: unknown, i: number) => env.BUCKET.put(`archives/${account}/${i}`, '')
		await Promise.all(Array.from({ length: 101 }, put))
		const pages: { differences: string[]; objects: number; next: string | null }[] = []
		for (let cursor: string | null = ''; cursor !== null; cursor = pages.at(-1)?.next ?? null) {
			pages.push(await (await admin(`/audit${cursor && `?cursor=${cursor}`}`)).json())
		}
		expect(pages.map(({ objects }) => objects)).toEqual([500, 500, 51, 50, 0])
		expect(pages.map(({ differences }) => differences.filter((each) => each.includes('nothing refers')).length)).toEqual([
			...[0, 0, 0, 100, 1]
		])
		const missing = pages.flatMap(({ differences }) => differences).filter((difference) => difference.endsWith('no object'))
		expect(new Set(missing).size).toBe(1_101)
		expect(missing).toHaveLength(1_101)
		const ofBooks = pages.map(({ differences }) => differences.filter((each) => each.startsWith('a picture not charged')).length)
		expect(ofBooks).toEqual([1_001, 0, 0, 0, 0])
		expect(await codeOf(await admin('/audit?cursor=x'))).toBe('422 invalid-request')
	})

	it('is one of those that the admin can list, page by page', async () => {
		const list = async (query: string) =>
			(await get(`/v1/admin/accounts?${query}`, env.ADMIN_TOKEN)).json<{ accounts: AccountView[]; next: string | null }>()
		const { account: other } = await newAccount()
		const seen: AccountView[] = []
		for (let cursor: string | null = ''; cursor !== null; ) {
			const page = await list(`limit=1${cursor && `&cursor=${cursor}`}`)
			// None where a name was noted of an account whose making another test has refused.
			expect(page.accounts.length).toBeLessThanOrEqual(1)
			seen.push(...page.accounts)
			cursor = page.next
		}
		const names = seen.map((one) => one.account)
		expect(names).toEqual([...names].sort())
		expect(names.filter((name) => name === account || name === other)).toHaveLength(2)
		expect(seen.find((one) => one.account === account)).toMatchObject({ plan: 'standard', balance: { available: plenty } })
		expect(await codeOf(await get('/v1/admin/accounts', key))).toBe('401 unauthorized')
	})

	it('that cannot be opened is named, and hides no other from the admin', async () => {
		const { account: other } = await newAccount()
		const [first = ''] = [account, other].sort()
		const broken = env.ACCOUNT.getByName(first)
		await runInDurableObject(broken, (_, { storage: { kv } }) => kv.put('schema', kv.get<number>('schema')! + 1))
		await evictDurableObject(broken)
		const after = `limit=100&cursor=${first.slice(0, -1)}`
		const { accounts, unavailable } = await (await get(`/v1/admin/accounts?${after}`, env.ADMIN_TOKEN)).json<{
			accounts: AccountView[]
			unavailable: string[]
		}>()
		expect(unavailable).toContain(first)
		expect(accounts).not.toEqual([])
	})

	it('that does not exist has nothing to show', async () => {
		for (const path of ['', '/keys', '/usage', '/ledger']) {
			expect(await codeOf(await get(`/v1/admin/accounts/${account}-not${path}`, env.ADMIN_TOKEN))).toBe('404 not-found')
		}
		expect(await codeOf(await post(`/v1/admin/accounts/${account}-not/audit`, env.ADMIN_TOKEN, ''))).toBe('404 not-found')
	})
})
