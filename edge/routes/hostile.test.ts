import { beforeAll, describe, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Problem } from '../../shared/contract/problem.ts'
import { jobFor } from '../callbacks/capability.ts'
import { call, codeOf, env, fetchEdge, get, newAccount, post } from '../testing.ts'

const order = { model: 'scenes', prompt: 'a red sphere', seed: 5 }
const none = 'gen_00000000000000000000000000'

describe('a hostile customer', () => {
	let account: string
	let key: string
	beforeAll(async () => {
		;({ account, key } = await newAccount())
	})
	const send = (method: string, path: string, bearer = key, body?: unknown) =>
		fetchEdge(path, {
			method,
			headers: { authorization: `Bearer ${bearer}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
			...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) })
		})
	/** Refused as a mistake of the client, in the form of all problems. */
	const refusal = async (answer: Response) => {
		const text = await answer.text()
		expect({ status: answer.status, text }).toMatchObject({ status: expect.toSatisfy((s: number) => s >= 400 && s < 500) })
		expect(answer.headers.get('content-type')).toBe('application/problem+json')
		return JSON.parse(text) as Problem
	}

	it.each([
		'gen_',
		'gen_%00',
		'gen_%ff%fe',
		'%E0%A4%A',
		'gen_ILOU0000000000000000000000',
		`gen_${'0'.repeat(5_000)}`,
		'__proto__',
		'constructor',
		'gen_00000000000000000000000000%0d%0aset-cookie:%20a=b',
		"gen_' OR 1=1 --",
		'../../admin/accounts',
		'%2e%2e%2fadmin',
		none
	])('finds nothing at %s', async (id) => {
		for (const [method, path] of [
			['GET', `/v1/generations/${id}`],
			['POST', `/v1/generations/${id}/cancel`],
			['DELETE', `/v1/generations/${id}`],
			['GET', `/v1/generations/${id}/events`],
			['GET', `/v1/generations/${id}/images/0`],
			['GET', `/v1/webhooks/${id}`],
			['DELETE', `/v1/webhooks/${id}`],
			['GET', `/v1/webhooks/deliveries/${id}`],
			['POST', `/v1/webhooks/deliveries/${id}/replay`],
			['DELETE', `/v1/keys/${id}`]
		] as const) {
			const { status } = await refusal(await send(method, path))
			expect([401, 404, 405]).toContain(status)
		}
	})

	it.each([
		'/v1/generations?cursor=gen_',
		'/v1/generations?cursor=',
		'/v1/generations?limit=0',
		'/v1/generations?limit=101',
		'/v1/generations?limit=1e1',
		'/v1/generations?limit=-1',
		'/v1/generations?limit=٣',
		'/v1/generations?limit=1&limit=2',
		'/v1/generations?created_after=yesterday',
		'/v1/generations?created_after=2026-02-30T00:00:00Z',
		'/v1/generations?__proto__=1',
		'/v1/generations?status=constructor',
		'/v1/generations?unknown=1',
		'/v1/ledger?cursor=0',
		'/v1/ledger?cursor=99999999999999999999',
		'/v1/ledger?cursor=1;drop',
		'/v1/usage?from=2026-13-01',
		'/v1/usage?from=2026-01-01T00:00:00Z',
		'/v1/usage?from[]=2026-01-01',
		'/v1/webhooks/deliveries?status=x',
		'/v1/webhooks/deliveries?cursor=msg_1'
	])('is told what a query may be: %s', async (path) => {
		expect(await codeOf(await get(path, key))).toBe('422 invalid-request')
	})

	it.each(['?dry_run=perhaps', '?dry_run=1&dry_run=0', '?dryrun=1'])('orders nothing by %s', async (query) => {
		expect(await codeOf(await post(`/v1/generations${query}`, key, order))).toBe('422 invalid-request')
		expect(await codeOf(await post(`/v1/generations${query}`, key, { ...order, steps: 'x' }))).toBe('422 invalid-request')
	})

	it.each([
		'{"__proto__":{"model":"scenes"},"prompt":"x"}',
		'{"model":"scenes","prompt":"x","__proto__":{"count":1}}',
		'{"model":"scenes","prompt":"x","constructor":{}}',
		'{"model":"__proto__","prompt":"x"}',
		'{"model":"constructor","prompt":"x"}',
		'{"model":"scenes","prompt":"x","count":1e999}',
		'{"model":"scenes","prompt":"x","seed":-0.5}',
		'{"model":"scenes","prompt":"x","deadline":"9999-12-31T23:59:59Z"}',
		'{"model":"scenes","prompt":"x","deadline":"2020-01-01T00:00:00Z"}',
		'{"model":"scenes","prompt":"x","deadline":"2026-02-30T00:00:00Z"}',
		'{"model":"scenes","prompt":"x","url_ttl":604801}',
		'{"model":"scenes","prompt":"x","webhook":{"url":"https://example.com","events":["__proto__"]}}',
		'{"model":"scenes","prompt":"x","webhook":{"url":"https://example.com","events":[]}}',
		`{"model":"scenes","prompt":"x","webhook":"https://example.com/${'x'.repeat(2_000)}"}`,
		'[]',
		'null',
		'"scenes"'
	])('orders nothing with %s', async (body) => {
		const { status } = await refusal(await post('/v1/generations', key, body))
		expect(status).toBe(422)
	})

	it('is told of no more than twenty of its mistakes, however many they are', async () => {
		const fields = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field${i}`, 0]))
		const { detail, errors } = await refusal(await post('/v1/generations', key, { ...order, ['y'.repeat(50_000)]: 0, ...fields }))
		expect(detail).toMatch(/^10001 fields are not as expected: \/y{60}…: expected only .*; …$/)
		expect(errors).toHaveLength(20)
		expect(JSON.stringify(errors).length).toBeLessThan(20_000)
		// Of a form that names no model, each field would be told with all the others.
		const few = Object.fromEntries(Object.entries(fields).slice(0, 1_000))
		const { errors: told } = await refusal(await post('/v1/keys', key, few))
		expect(JSON.stringify(told).length).toBeLessThan(20_000)
	})

	it.each(['\u0000', '\ud800', '\u202egnp.exe', '👩‍🚀'.repeat(50), "'; DROP TABLE generations; --"])(
		'gets back what it asked for: %j',
		async (text) => {
			const prompt = `a${text}b`
			const answer = await post('/v1/generations', key, { ...order, prompt })
			expect(answer.status).toBe(202)
			const { id } = await answer.json<Generation>()
			expect((await (await get(`/v1/generations/${id}`, key)).json<Generation>()).request.prompt).toBe(prompt)
			expect((await send('DELETE', `/v1/generations/${id}`)).status).toBe(204)
		}
	)

	it('tells what came by its first letters, the last of which is whole', async () => {
		for (const start of ['', 'x']) {
			const field = start + '😀'.repeat(40)
			const answer = await post('/v1/generations', key, { model: 'scenes', prompt: field.repeat(200), [field]: 1 })
			expect(answer.status).toBe(422)
			expect(await answer.text()).not.toMatch(/\\+ud8|\ufffd/)
		}
	})

	it.each(['x\u001b[2Jy', 'two\nlines', '\u0000', '\u202eevil', '\ud800'])('has no key called %j', async (name) => {
		expect(await codeOf(await post('/v1/keys', key, { name }))).toBe('422 invalid-request')
	})

	it.each([
		['limits', { limits: { requests_per_minute: 2 ** 53 } }],
		['limits', { limits: { requests_per_minute: 0 } }],
		['limits', { limits: JSON.parse('{"__proto__":{"requests_per_minute":1}}') }],
		['scopes', { scopes: [] }],
		['scopes', { scopes: ['root'] }],
		['scopes', { scopes: Array(1_000).fill('read') }],
		['an expiry', { expires_at: 'never' }],
		['an end that is past', { expires_at: '2020-01-01T00:00:00Z' }],
		['a field', { hash: 'x' }]
	])('makes no key with strange %s', async (_, body) => {
		expect(await codeOf(await post('/v1/keys', key, body))).toBe('422 invalid-request')
	})

	it.each([
		'https://localhost../',
		'https://127.0.0.1../',
		'https://[::ffff:7f00:1]/',
		'https://[0:0:0:0:0:ffff:169.254.169.254]/',
		'https://0/',
		'https://0xa.1/',
		'https://01200000001/',
		'https://①⑥⑨.②⑤④.①⑥⑨.②⑤④/',
		'https://inter\u00adnal/',
		'https://ｐｒｉｎｔｅｒ.ｌｏｃａｌ/',
		'https://example.com:99999/',
		'https://exam ple.com/',
		'https://a:b@example.com/',
		'https://@10.0.0.1/',
		'https:10.0.0.1',
		'https:\\\\10.0.0.1\\',
		'https://10.0.0.1#.example.com',
		'https://192.168.1.1%2f.example.com/',
		'javascript:alert(1)',
		'file:///etc/passwd',
		'data:text/plain,x',
		'https://[fe80::1%25eth0]/',
		'https://xn--/',
		'https://',
		'//example.com/'
	])('has no webhook at %s', async (url) => {
		expect(await codeOf(await post('/v1/webhooks', key, { url }))).toBe('422 invalid-request')
		expect(await codeOf(await post('/v1/generations', key, { ...order, webhook: url }))).toBe('422 invalid-request')
	})

	it('injects no header', async () => {
		for (const id of ['a b', 'x'.repeat(65), '"><script>', 'é']) {
			const answer = await get('/v1/account', key, { 'x-request-id': encodeURIComponent(id) })
			expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{26}$/)
		}
		const { instance } = await (await get('/v1/nothing', key, { 'x-request-id': 'mine-1' })).json<Problem>()
		expect(instance).toBe('mine-1')
	})

	it('cannot manage another account, nor itself as an admin', async () => {
		const { account: other } = await newAccount()
		const { keys } = await (await get(`/v1/admin/accounts/${other}/keys`, env.ADMIN_TOKEN)).json<{ keys: { id: string }[] }>()
		for (const [method, path, body] of [
			['GET', ''],
			['PUT', '', { plan: 'scale', limits: {} }],
			['POST', '/credits', { amount: 1, reference: 'x' }],
			['GET', '/keys'],
			['POST', '/keys', {}],
			['DELETE', `/keys/${keys[0]!.id}`],
			['GET', '/usage'],
			['GET', '/ledger'],
			['PUT', '/metering', { stripe_customer: 'cus_1' }],
			['GET', '/metering/events'],
			['POST', `/generations/${none}/refund`],
			['POST', '/audit']
		] as const) {
			for (const whose of [account, other]) {
				expect(await codeOf(await send(method, `/v1/admin/accounts/${whose}${path}`, key, body))).toBe('401 unauthorized')
			}
		}
		expect(await codeOf(await send('DELETE', `/v1/keys/${keys[0]!.id}`))).toBe('404 not-found')
		expect(await codeOf(await send('POST', `/v1/keys/${keys[0]!.id}/rotate`, key, {}))).toBe('404 not-found')
	})

	it.each(['ab', 'UPPER', 'a_b', 'a%2Fb', 'x'.repeat(33), '%00%00%00', '..%2f..'])('is no account: %s', async (name) => {
		for (const [method, path, body] of [
			['GET', ''],
			['POST', '/keys', {}],
			['POST', '/credits', { amount: 1, reference: 'x' }],
			['PUT', '/metering', { stripe_customer: null }],
			['POST', '/audit']
		] as const) {
			const { status } = await refusal(await send(method, `/v1/admin/accounts/${name}${path}`, env.ADMIN_TOKEN, body))
			expect(status).toBe(404)
		}
	})

	it('makes no account by asking about one', async () => {
		const nobody = `${account}-no`
		for (const [method, path, body] of [
			['GET', ''],
			['GET', '/keys'],
			['PUT', '/metering', { stripe_customer: 'cus_1' }],
			['GET', '/metering/events'],
			['POST', `/generations/${none}/refund`],
			['POST', '/audit']
		] as const) {
			expect(await codeOf(await send(method, `/v1/admin/accounts/${nobody}${path}`, env.ADMIN_TOKEN, body))).toBe('404 not-found')
		}
	})

	it('cannot bring the books into disorder by canceling, deleting and being delivered to at once', async () => {
		for (let i = 0; i < 6; i++) {
			const { id } = await (await post('/v1/generations', key, { ...order, count: 2 })).json<Generation>()
			const work = { account, generation: id, epoch: 1 }
			await call(work, 'start', { run: 'run-one-one' })
			await env.BUCKET.put(`${id}/1/0`, 'test')
			const seen = { n: 0, size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png', width: 128, height: 128, seed: 5 }
			const acts = [
				() => call(work, 'image', seen),
				() => send('POST', `/v1/generations/${id}/cancel`),
				() => send('DELETE', `/v1/generations/${id}`),
				() => call(work, 'image', seen)
			]
			const answers = await Promise.all([...acts.slice(i % 4), ...acts.slice(0, i % 4)].map((act) => act()))
			expect(answers.every(({ status }) => [200, 204, 404, 409].includes(status))).toBe(true)
			expect(await codeOf(await get(`/v1/generations/${id}`, key))).toBe('404 not-found')
		}
		expect(await (await get('/v1/account', key)).json()).toMatchObject({ balance: { held: 0 }, in_flight: 0 })
		const { differences } = await (await post(`/v1/admin/accounts/${account}/audit`, env.ADMIN_TOKEN, '')).json<{
			differences: string[]
		}>()
		expect(differences).toEqual([])
	})

	it.each(['0', '-1', '01', '1e0', '1.0', '٣', '1234567890', '%00', '__proto__', '1/../2'])(
		'calls nothing back of the attempt %s',
		async (epoch) => {
			const { id } = await (await post('/v1/generations', key, order)).json<Generation>()
			const { token } = jobFor(env, { account, generation: id, epoch: 1 })
			for (const name of ['start', 'progress', 'upload', 'image', 'checkpoint', 'yield', 'finish']) {
				const { status } = await refusal(await send('POST', `/callbacks/${account}/${id}/${epoch}/${name}`, token, {}))
				expect([401, 404]).toContain(status)
			}
			await send('POST', `/v1/generations/${id}/cancel`)
		}
	)

	it('that has got hold of a job can deliver only what was asked for, once, and until it is canceled', async () => {
		const { id } = await (await post('/v1/generations', key, order)).json<Generation>()
		const work = { account, generation: id, epoch: 1 }
		const bytes = { size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png' }
		const picture = { n: 0, ...bytes, width: 128, height: 128, seed: 5 }
		await env.BUCKET.put(`${id}/1/0`, 'test')
		await env.BUCKET.put(`${id}/1/1`, 'test')
		expect(await codeOf(await call(work, 'image', picture))).toBe('409 superseded')
		await call(work, 'start', { run: 'run-one-one' })
		expect(await codeOf(await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 }))).toBe('409 undelivered')
		for (const strange of [{ n: 1, seed: 6 }, { width: 64 }, { seed: 6 }, { content_type: 'image/webp' }]) {
			expect(await codeOf(await call(work, 'image', { ...picture, ...strange }))).toBe('422 invalid-request')
		}
		for (const strange of [{ size: 5 }, { md5: 'XUFAKrxLKna5cZ2REBfFkg==' }]) {
			expect(await codeOf(await call(work, 'image', { ...picture, ...strange }))).toBe('409 not-seen')
		}
		for (const strange of [{ n: -1 }, { n: 0.5 }, { n: 2 ** 53 }, { n: '0' }, { seed: 1e99 }, { size: 0 }]) {
			expect(await codeOf(await call(work, 'image', { ...picture, ...strange }))).toBe('422 invalid-request')
		}
		expect((await call(work, 'image', picture)).status).toBe(200)
		expect((await call(work, 'image', picture)).status).toBe(200)
		const { cost } = await (await get(`/v1/generations/${id}`, key)).json<Generation>()
		expect(cost).toEqual({ picture: cost.picture, held: 0, charged: cost.picture })
		await send('POST', `/v1/generations/${id}/cancel`)
		for (const [name, body] of [
			['image', picture],
			['upload', { n: 0, ...bytes }],
			['progress', { done: 1, total: 2 }],
			['yield', {}],
			['finish', { outcome: 'failed', detail: 'x' }]
		] as const) {
			expect(await codeOf(await call(work, name, body))).toBe('409 ended')
		}
	})

	it('is told that an order which it deleted is gone when it repeats it', async () => {
		const name = { 'idempotency-key': 'gone' }
		const { id } = await (await post('/v1/generations', key, order, name)).json<Generation>()
		await send('DELETE', `/v1/generations/${id}`)
		expect(await codeOf(await post('/v1/generations', key, order, name))).toBe('404 not-found')
	})
})
