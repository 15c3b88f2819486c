import { runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, inject, it, onTestFinished, vi } from 'vitest'
import { findModel } from '../../shared/catalog.ts'
import type { Usage } from '../../shared/contract/account.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { auditOf, call, codeOf, env, fetchEdge, get, newAccount, patience, post, put, stopClock } from '../testing.ts'

const order = { model: 'scenes', prompt: 'a red sphere', seed: 5 }
const price = 1_410
const falStorage = { 'x-fal-target-url': 'https://rest.fal.ai/storage/upload/initiate' }

let account: string
let key: string
stopClock()
beforeEach(async () => {
	;({ account, key } = await newAccount())
})
const set = (standing: object) => put(`/v1/admin/accounts/${account}`, env.ADMIN_TOKEN, standing)
const submit = (fields: object = {}, headers: Record<string, string> = {}, by = key) =>
	post('/v1/generations', by, { ...order, ...fields }, headers)
const generations = async () =>
	(await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()).generations.map(({ id }) => id)
const end = async ({ id }: Generation) => {
	const work = { account, generation: id, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await call(work, 'finish', { outcome: 'failed', detail: 'enough' })
}
const deliver = async ({ id, request }: Generation) => {
	const work = { account, generation: id, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	for (let n = 0; n < request.count; n++) {
		await env.BUCKET.put(`${id}/1/${n}`, 'test')
		const bytes = { size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png' }
		await call(work, 'image', { n, ...bytes, width: 128, height: 128, seed: 5 + n })
	}
	expect((await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })).status).toBe(200)
}

describe('limits', () => {
	it('are those of the plan, but for the account’s own', async () => {
		const answer = await set({ plan: 'trial', limits: { pictures_in_flight: 3 } })
		expect(await answer.json()).toMatchObject({
			plan: 'trial',
			limits: { requests_per_minute: 60, pictures_in_flight: 3, spend_per_day: null },
			retention_days: 1
		})
		expect(await codeOf(await set({ plan: 'gold', limits: {} }))).toBe('422 invalid-request')
		// What is left out stays as it is.
		expect(await (await set({ plan: 'scale' })).json()).toMatchObject({
			plan: 'scale',
			limits: { pictures_in_flight: 3 }
		})
		expect(await (await set({ limits: {} })).json()).toMatchObject({
			plan: 'scale',
			limits: { pictures_in_flight: 100_000 }
		})
	})

	it('space orders out, a minute’s worth of them at once, and count none that they refuse', async () => {
		await set({ plan: 'standard', limits: { requests_per_minute: 3, pictures_in_flight: null } })
		const first = await submit()
		expect(first.headers.get('ratelimit-policy')).toBe('"account";q=3;w=60')
		expect(first.headers.get('ratelimit')).toBe('"account";r=2;t=20')
		await submit()
		expect((await submit()).headers.get('ratelimit')).toBe('"account";r=0;t=60')
		for (let i = 0; i < 5; i++) {
			const refused = await submit()
			expect(refused.headers.get('retry-after')).toBe('20')
			expect(refused.headers.get('ratelimit')).toBe('"account";r=0;t=20')
			expect(await refused.clone().json()).toMatchObject({ 'violated-policies': ['account'] })
			expect(await codeOf(refused)).toBe('429 rate-limited')
		}
		vi.setSystemTime(Date.now() + 19_999)
		expect((await submit()).status).toBe(429)
		vi.setSystemTime(Date.now() + 1)
		expect((await submit()).status).toBe(202)
		expect((await submit()).status).toBe(429)
		expect(await generations()).toHaveLength(4)
	})

	it('leave no more than they are, however high', async () => {
		const most = 999_999_999_999_999
		await set({ limits: { requests_per_minute: most, pictures_in_flight: null } })
		expect((await submit()).headers.get('ratelimit')).toBe(`"account";r=${most - 1};t=0`)
	})

	it('hold for a key beside those of its account', async () => {
		vi.setSystemTime('2026-11-29T12:00:00Z')
		const made = await post('/v1/keys', key, { limits: { requests_per_minute: 1, spend_per_day: price } })
		const { key: small } = await made.json<{ key: string }>()
		const first = await submit({}, {}, small)
		expect(first.headers.get('ratelimit-policy')).toBe(
			'"account";q=600;w=60, "account-in-flight";q=1000;qu="pictures", "key";q=1;w=60, "key-spend-day";q=1410;qu="micro-units";w=86400'
		)
		expect(first.headers.get('ratelimit')).toBe(
			'"account";r=599;t=1, "account-in-flight";r=999, "key";r=0;t=60, "key-spend-day";r=0;t=43200'
		)
		const refused = await submit({}, {}, small)
		expect(await refused.clone().json()).toMatchObject({ 'violated-policies': ['key', 'key-spend-day'] })
		// As they stood before it, for it was not counted; and only the last of them lets it in.
		expect(refused.headers.get('ratelimit')).toBe(
			'"account";r=599;t=1, "account-in-flight";r=999, "key";r=0;t=60, "key-spend-day";r=0;t=43200'
		)
		expect(refused.headers.get('retry-after')).toBe('43200')
		vi.setSystemTime(Date.now() + 60_000)
		const dear = await submit({}, {}, small)
		expect(await dear.clone().json()).toMatchObject({
			detail: "The order may cost 0.00141, and the key's limit of 0.00141 a day leaves 0.00 until 2026-11-30T00:00:00.000Z."
		})
		expect(await codeOf(dear)).toBe('429 spend-limit')
		expect((await submit()).status).toBe(202)
	})

	it('of a key keep it from making keys that have none, and from those of others', async () => {
		const scopes = ['generate', 'read', 'admin']
		const make = async (by: string, body: object) => (await post('/v1/keys', by, body)).json<{ id: string; key: string }>()
		const other = await make(key, {})
		const limited = await make(key, { scopes, limits: { spend_per_day: price, spend_per_month: null } })
		const refused = await post('/v1/keys', limited.key, { limits: { spend_per_day: price } })
		expect(await refused.clone().json()).toMatchObject({
			detail:
				'Expected a key without limits of its own, which others would be a way round, got one with spend_per_day; it may rotate itself.'
		})
		expect(await codeOf(refused)).toBe('403 forbidden')
		expect(await codeOf(await post(`/v1/keys/${other.id}/rotate`, limited.key, {}))).toBe('403 forbidden')
		// As it may what it was before, and what it has become.
		const next = await (await post(`/v1/keys/${limited.id}/rotate`, limited.key, {})).json<{ key: string }>()
		expect((await post(`/v1/keys/${limited.id}/rotate`, next.key, {})).status).toBe(201)
		const free = await make(key, { scopes, limits: { spend_per_month: null } })
		expect((await post('/v1/keys', free.key, {})).status).toBe(201)
	})

	it('are those that are left of a key, when it is rotated, for both', async () => {
		vi.setSystemTime('2026-11-29T12:00:00Z')
		const limits = { requests_per_minute: 3, pictures_in_flight: 2, spend_per_day: 3 * price }
		const old = await (await post('/v1/keys', key, { limits })).json<{ id: string; key: string }>()
		const first = await (await submit({}, {}, old.key)).json<Generation>()
		const next = await (await post(`/v1/keys/${old.id}/rotate`, key, { overlap: 60 })).json<{ id: string; key: string }>()
		const left = async (by: string) =>
			(await submit({}, {}, by)).headers
				.get('ratelimit')
				?.match(/"key.*/)?.[0]
				.replace(/;t=\d+/g, '')
		expect(await left(next.key)).toBe(`"key";r=1, "key-in-flight";r=0, "key-spend-day";r=${price}`)
		for (const by of [old.key, next.key]) {
			expect(await codeOf(await submit({}, {}, by))).toBe('429 too-many-in-flight')
		}
		await deliver(first)
		const last = await (await post(`/v1/keys/${next.id}/rotate`, key, { overlap: 0 })).json<{ key: string }>()
		expect(await left(last.key)).toBe('"key";r=0, "key-in-flight";r=0, "key-spend-day";r=0')
		vi.setSystemTime(Date.now() + 59_000)
		expect(await (await submit({}, {}, old.key)).json()).toMatchObject({
			'violated-policies': ['key-in-flight', 'key-spend-day']
		})
		const { differences } = await (await post(`/v1/admin/accounts/${account}/audit`, env.ADMIN_TOKEN, {})).json<{
			differences: string[]
		}>()
		expect(differences).toEqual([])
	})

	it('bound the pictures in flight, until they end', async () => {
		await set({ plan: 'standard', limits: { requests_per_minute: null, pictures_in_flight: 3 } })
		const first = await submit({ count: 2 })
		expect(first.headers.get('ratelimit-policy')).toBe('"account-in-flight";q=3;qu="pictures"')
		expect(first.headers.get('ratelimit')).toBe('"account-in-flight";r=1')
		const generation = await first.json<Generation>()
		const refused = await submit({ count: 2 })
		expect(refused.headers.get('ratelimit')).toBe('"account-in-flight";r=1')
		expect(refused.headers.get('retry-after')).toBe('5')
		expect(await codeOf(refused)).toBe('429 too-many-in-flight')
		expect((await submit({ count: 1 })).status).toBe(202)
		await end(generation)
		expect((await submit({ count: 2 })).status).toBe(202)
	})

	it('ask nobody to come again with what is more than they allow at all', async () => {
		await set({ plan: 'standard', limits: { requests_per_minute: 1, pictures_in_flight: 3 } })
		const { status, headers } = await submit({ count: 4 })
		expect([status, headers.get('retry-after'), headers.get('ratelimit')]).toEqual([
			...[429, null, '"account";r=1;t=60, "account-in-flight";r=3']
		])
		expect((await submit({ count: 3 })).status).toBe(202)
		// Once a minute has passed there would be room for one, but not for four pictures.
		expect((await submit({ count: 4 })).headers.get('retry-after')).toBeNull()
		await set({ plan: 'standard', limits: { spend_per_day: price } })
		expect((await submit({ count: 2 })).headers.get('retry-after')).toBeNull()
	})

	it('bound what is spent in a day and in a month, and what is released does not count', async () => {
		vi.setSystemTime('2026-11-29T12:00:00Z')
		await set({ plan: 'standard', limits: { spend_per_day: 2 * price, spend_per_month: 3 * price } })
		const failed = await (await submit({ count: 2 })).json<Generation>()
		const refused = await submit()
		expect(refused.headers.get('retry-after')).toBe(String(12 * 3_600))
		expect(await codeOf(refused)).toBe('429 spend-limit')
		await end(failed)
		await deliver(await (await submit({ count: 2 })).json<Generation>())
		expect(await codeOf(await submit())).toBe('429 spend-limit')
		vi.setSystemTime('2026-11-30T00:00:00Z')
		await deliver(await (await submit()).json<Generation>())
		const month = await submit()
		expect(month.headers.get('retry-after')).toBe(String(24 * 3_600))
		expect(await codeOf(month)).toBe('429 spend-limit')
		vi.setSystemTime('2026-12-01T00:00:00Z')
		expect((await submit({ count: 2 })).status).toBe(202)
	})

	it('bound what is spent of a day and a month by the clock as it is, though it was ahead before', async () => {
		vi.setSystemTime('2028-06-10T12:00:00Z')
		await set({ limits: { spend_per_day: price, spend_per_month: price } })
		vi.setSystemTime('2029-06-10T12:00:00Z')
		await deliver(await (await submit()).json<Generation>())
		expect(await codeOf(await submit())).toBe('429 spend-limit')
		vi.setSystemTime('2028-06-10T12:00:00Z')
		expect((await submit()).status).toBe(202)
		expect(await codeOf(await submit())).toBe('429 spend-limit')
	})

	it('count what is accepted before midnight and charged after it in the day and the month of the charge', async () => {
		vi.setSystemTime('2027-12-31T23:59:59.900Z')
		await set({
			limits: { requests_per_minute: null, pictures_in_flight: null, spend_per_day: 2 * price, spend_per_month: 3 * price }
		})
		const accepted = await submit({ count: 2 })
		const stand = ({ headers }: Response) =>
			[headers.get('ratelimit-policy'), headers.get('ratelimit')].join(' ').match(/(w|r|t)=\d+/g)
		expect(stand(accepted)).toEqual(['w=86400', 'w=2678400', 'r=0', 't=1', `r=${price}`, 't=1'])
		vi.setSystemTime('2028-01-01T00:00:00Z')
		expect(await codeOf(await submit())).toBe('429 spend-limit')
		await deliver(await accepted.json<Generation>())
		expect(await codeOf(await submit())).toBe('429 spend-limit')
		vi.setSystemTime('2028-01-31T23:59:59.999Z')
		expect(stand(await submit())).toEqual(['w=86400', 'w=2678400', `r=${price}`, 't=1', 'r=0', 't=1'])
		vi.setSystemTime('2028-02-01T00:00:00Z')
		expect(stand(await submit())).toEqual(['w=86400', 'w=2505600', 'r=0', 't=86400', `r=${price}`, 't=2505600'])
		const { usage } = await (await get('/v1/usage?from=2027-12-01&to=2028-02-29', key)).json<{ usage: Usage[] }>()
		expect(usage).toMatchObject([{ day: '2028-01-01', pictures: 2, amount: 2 * price }])
	})

	it('refuse nothing that costs nothing, though more was spent than they allow by now', async () => {
		await deliver(await (await submit()).json<Generation>())
		await set({ limits: { spend_per_day: 1 } })
		expect(await codeOf(await submit())).toBe('429 spend-limit')
		const { price: usual } = findModel('scenes')!
		const charged = { ...usual }
		onTestFinished(() => void Object.assign(usual, charged))
		Object.assign(usual, { picture: 0, megapixel_step: 0 })
		const free = await submit({ count: 2 })
		expect([free.status, free.headers.get('ratelimit')]).toEqual([202, expect.stringContaining('"account-spend-day";r=0;')])
		await deliver(await free.json<Generation>())
		expect((await auditOf(account)).differences).toEqual([])
	})

	it('space out what is no order and costs nothing, each for itself', async () => {
		await set({ plan: 'standard', limits: { requests_per_minute: 3 } })
		const receiver = await (await post('/v1/webhooks', key, { url: 'http://127.0.0.1:9/' })).json<{ id: string }>()
		const image = `data:image/png;base64,${inject('files')['plain.png']}`
		const upload = () => post('/v1/uploads', key, { content_type: 'image/png', size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==' })
		const ping = () => post(`/v1/webhooks/${receiver.id}/ping`, key, {})
		const { id: message } = await (await ping()).json<{ id: string }>()
		const replay = () => post(`/v1/webhooks/deliveries/${message}/replay`, key, {})
		const limitsOf = ({ headers }: Response) => [headers.get('ratelimit-policy'), headers.get('ratelimit')]
		expect(limitsOf(await replay())).toEqual(['"account-messages";q=3;w=60', '"account-messages";r=1;t=40'])
		expect((await ping()).status).toBe(202)
		expect(limitsOf(await upload())).toEqual(['"account-inputs";q=3;w=60', '"account-inputs";r=2;t=20'])
		expect((await post('/v1/generations?dry_run=1', key, { ...order, image })).status).toBe(200)
		expect((await post('/fal/proxy', key, { content_type: 'image/png' }, falStorage)).status).toBe(200)
		const form = new FormData()
		form.set('file', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png'))
		const sendFile = () =>
			fetchEdge('/openai/v1/files', { method: 'POST', headers: { authorization: `Bearer ${key}` }, body: form })
		for (const again of [
			replay,
			ping,
			upload,
			sendFile,
			() => submit({ image }),
			() => submit({ image: 'upl_00000000000000000000000000', mask: image }),
			() => post('/fal/proxy', key, { content_type: 'image/png' }, falStorage)
		]) {
			const refused = await again()
			expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '20'])
		}
		expect((await submit()).status).toBe(202)
		vi.setSystemTime(Date.now() + 20_000)
		expect((await submit({ image })).status).toBe(202)
		expect((await upload()).status).toBe(429)
		expect((await ping()).status).toBe(202)
		const audit = await post(`/v1/admin/accounts/${account}/audit`, env.ADMIN_TOKEN, {})
		expect(await audit.json()).toMatchObject({ differences: [] })
	})

	it('let a key send and upload as much as its own limit says', async () => {
		const made = await (await post('/v1/keys', key, { limits: { requests_per_minute: 1 } })).json<{ key: string }>()
		const upload = (by: string) =>
			post('/v1/uploads', by, { content_type: 'image/png', size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==' })
		expect((await upload(made.key)).headers.get('ratelimit')).toBe('"account-inputs";r=599;t=1, "key-inputs";r=0;t=60')
		const refused = await upload(made.key)
		expect(await refused.json()).toMatchObject({
			detail: 'Expected at most 1 inputs a minute.',
			'violated-policies': ['key-inputs']
		})
		expect((await upload(key)).status).toBe(201)
	})

	it('let nobody wait for a clock that was set back', async () => {
		await set({ plan: 'standard', limits: { requests_per_minute: 2 } })
		await submit()
		await submit()
		vi.setSystemTime(Date.now() - 3_600_000)
		expect((await submit()).status).toBe(202)
	})

	it('take a whole network of IPv6 for one address: whoever has one has all of it', async () => {
		vi.useRealTimers()
		const from = (address: string) => get('/v1/models', key, { 'cf-connecting-ip': address })
		const answers = await Promise.all(
			Array.from({ length: 120 }, (_, i) => from(i % 2 ? `2001:db8:0:7::${i}` : `2001:db8::7:${i}:0:0:1`))
		)
		expect(answers.map(({ status }) => status)).toContain(429)
		expect((await from('2001:db8:0:8::1')).status).toBe(200)
		expect((await from('2001:db8::1')).status).toBe(200)
	})

	const told = 'Too many requests from this address.'
	it.each([
		['/v1/models', '203.0.113.7', { detail: told }],
		['/openai/v1/files', '203.0.113.17', { error: { message: told, code: 'rate_limit_exceeded' } }],
		['/replicate/v1/models', '203.0.113.27', { title: expect.any(String), detail: told }],
		['/fal/queue/darkroom/scenes/requests/x', '203.0.113.37', { message: told }]
	])('turn a flood from one address away, and from no other: %s', async (path, address, body) => {
		vi.useRealTimers()
		const from = (address: string) => get(path, key, { 'cf-connecting-ip': address })
		// Of each window, which are aligned to the clock, 20 are not looked at, and of the others 20 are let in here.
		const answers = await Promise.all(Array.from({ length: 120 }, () => from(address)))
		const refused = answers.find(({ status }) => status === 429)
		expect([refused?.headers.get('retry-after'), await refused?.json()]).toMatchObject(['10', body])
		expect((await from(`${address}8`)).status).not.toBe(429)
	})
})

describe('a retry', () => {
	it('with the same idempotency key and body is the same order, for a day', async () => {
		const name = { 'idempotency-key': '"order-17"' }
		const first = await submit({}, name)
		const { id } = await first.json<Generation>()
		expect(first.headers.get('idempotent-replayed')).toBeNull()
		// Stripe's clients send it bare.
		const again = await submit({}, { 'idempotency-key': 'order-17' })
		expect(again.status).toBe(202)
		expect(again.headers.get('idempotent-replayed')).toBe('true')
		expect(await again.json()).toMatchObject({ id })
		expect(await codeOf(await submit({ steps: 9 }, name))).toBe('422 idempotency-key-reused')
		vi.setSystemTime(Date.now() + 86_400_000)
		expect(await (await submit({ steps: 9 }, name)).json()).not.toMatchObject({ id })
		expect(await generations()).toHaveLength(2)
	})

	it('is no retry where nothing was ordered', async () => {
		const name = { 'idempotency-key': 'x' }
		await set({ plan: 'standard', limits: { pictures_in_flight: 1 } })
		expect((await submit({ count: 2 }, name)).status).toBe(429)
		expect((await submit({ count: 1 }, name)).status).toBe(202)
	})

	it('is counted once, however many there are at the same time', async () => {
		const answers = await Promise.all(Array.from({ length: 500 }, () => submit({}, { 'idempotency-key': 'one' })))
		const ids = await Promise.all(answers.map(async (answer) => (await answer.json<Generation>()).id))
		expect(new Set(ids).size).toBe(1)
		expect(answers.filter((answer) => answer.headers.get('idempotent-replayed') === null)).toHaveLength(1)
		const { entries } = await (await get('/v1/ledger', key)).json<{ entries: object[] }>()
		expect(entries).toMatchObject([{ kind: 'hold', amount: price }, { kind: 'credit' }])
	})

	it('belongs to one account', async () => {
		const { id } = await (await submit({}, { 'idempotency-key': 'one' })).json<Generation>()
		const stranger = await newAccount()
		expect(await (await submit({}, { 'idempotency-key': 'one' }, stranger.key)).json()).not.toMatchObject({ id })
	})

	it.each(['', '""', '"', 'a"b', 'é', 'x'.repeat(256)])('has no key such as %s', async (name) => {
		expect(await codeOf(await submit({}, { 'idempotency-key': name }))).toBe('400 malformed-header')
	})

	it('that an SDK declares is the same order until a client has had its end', async () => {
		const attempt = (n: number, fields = {}) => submit(fields, { 'x-stainless-retry-count': String(n) })
		const generation = await (await attempt(0)).json<Generation>()
		expect(await (await attempt(1)).json()).toMatchObject({ id: generation.id })
		await end(generation)
		// It has ended, but nobody can know: the answer may have been lost.
		expect(await (await attempt(2)).json()).toMatchObject({ id: generation.id, status: 'failed' })
		await get(`/v1/generations/${generation.id}`, key)
		expect(await (await attempt(1)).json()).not.toMatchObject({ id: generation.id })
	})

	it.each(['a held answer', 'a stream'])('that an SDK declares is a new order once %s has certainly arrived', async (what) => {
		const attempt = (n: number, prefer = {}) => submit({}, { 'x-stainless-retry-count': String(n), ...prefer })
		const held = attempt(0, what === 'a stream' ? {} : { prefer: 'wait=10' })
		await vi.waitFor(async () => expect(await generations()).toHaveLength(1), patience)
		const [id] = await generations()
		const told = what === 'a stream' ? (await get(`/v1/generations/${id}/events`, key)).text() : held
		await end({ id } as Generation)
		await told
		const isTold = () =>
			runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) =>
				storage.sql.exec('SELECT 1 FROM generations WHERE seen_at > ?', Date.now()).toArray()
			)
		await vi.waitFor(async () => expect(await isTold()).toHaveLength(1), patience)
		// Until then it may have been lost on its way.
		vi.setSystemTime(Date.now() + 60_000)
		expect(await (await attempt(1)).json()).not.toMatchObject({ id })
	})

	it('that an SDK does not declare is a new order, and so is a late one', async () => {
		const attempt = async (n: number, fields = {}) =>
			(await (await submit(fields, { 'x-stainless-retry-count': String(n) })).json<Generation>()).id
		const first = await attempt(0)
		const second = await attempt(0)
		expect(second).not.toBe(first)
		expect(await attempt(1)).toBe(second)
		expect(await attempt(1, { steps: 9 })).not.toBe(second)
		vi.setSystemTime(Date.now() + 600_000)
		expect(await attempt(1)).not.toBe(second)
	})
})
