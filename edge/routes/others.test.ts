import { expect, it } from 'vitest'
import { models } from '../../shared/catalog.ts'
import { codeOf, env, fetchEdge, newAccount, post } from '../testing.ts'

it('GET /health', async () => {
	expect(await (await fetchEdge('/health')).json()).toEqual({ status: 'ok' })
})

it('GET /v1/models', async () => {
	expect(await (await fetchEdge('/v1/models')).json()).toEqual({ models })
})

it('what is not there, and what is not done there', async () => {
	expect(await codeOf(await fetchEdge('/v1/nothing'))).toBe('404 not-found')
	const answer = await fetchEdge('/v1/models', { method: 'DELETE' })
	expect(answer.headers.get('allow')).toBe('GET, HEAD')
	expect(await codeOf(answer)).toBe('405 method-not-allowed')
})

it.each([
	['/v1/images/generations', 'OpenAI'],
	['/images/edits', 'OpenAI'],
	['/models', 'OpenAI'],
	['/v1/predictions', 'Replicate'],
	['/replicate/models/darkroom/scenes/predictions', 'Replicate'],
	['/v1/models/scenes', '']
])('where a client belongs that calls %s', async (path, vendor) => {
	const answer = await post(path, undefined, {})
	expect(answer.status).toBe(404)
	const { detail, error } = await answer.json<{ detail?: string; error?: { message: string } }>()
	// OpenAI's client for JavaScript shows nothing of a problem.
	expect(vendor === 'OpenAI' ? error!.message : detail).toMatch(
		vendor ? new RegExp(`^There is nothing at ${path}; ${vendor}'s clients take /`) : /^There is nothing at \S+\.$/
	)
})

it('the admin makes keys, of known fields, and no one whose token only begins like the admin’s', async () => {
	expect(await codeOf(await post('/v1/admin/accounts/acme/keys', `${env.ADMIN_TOKEN}x`, {}))).toBe('401 unauthorized')
	expect(await codeOf(await post('/v1/admin/accounts/acme/keys', env.ADMIN_TOKEN, { nam: 'x' }))).toBe('422 invalid-request')
	const made = await post('/v1/admin/accounts/acme/keys', env.ADMIN_TOKEN, { name: ' first ' })
	expect(made.status).toBe(201)
	expect(await made.json()).toMatchObject({ account: 'acme', name: 'first', key: expect.stringMatching(/^dk_acme_/) })
})

it('GET /account: a page that loads and calls nothing from elsewhere', async () => {
	const page = await fetchEdge('/account')
	const html = await page.text()
	const policy = page.headers.get('content-security-policy')
	expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
	expect(policy).toMatch(/; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/)
	expect(html).not.toMatch(/<script(?![^>]* src="\/)|<style|\son\w+=|style=/)
	for (const part of ['/site/account.js', '/site/account.css']) {
		expect(html).toContain(part)
		const answer = await fetchEdge(part)
		expect(answer.headers.get('content-type')).toMatch(/^text\/(javascript|css)/)
		const etag = answer.headers.get('etag') as string
		for (const known of [etag, `"another", W/${etag}`, '*']) {
			expect((await fetchEdge(part, { headers: { 'if-none-match': known } })).status).toBe(304)
		}
		expect((await fetchEdge(part, { headers: { 'if-none-match': '"*"' } })).status).toBe(200)
	}
})

it.each(['/account', '/docs'])('%s is found with a slash at its end too', async (path) => {
	const answer = await fetchEdge(`${path}/`, { redirect: 'manual' })
	expect([answer.status, answer.headers.get('location')]).toEqual([308, path])
	expect((await fetchEdge(path)).status).toBe(200)
})

it('pages from elsewhere may call, with a key of their own', async () => {
	const { key } = await newAccount()
	const origin = 'https://app.example'
	for (const path of [
		'/v1/generations',
		'/openai/v1/images/generations',
		'/replicate/v1/predictions',
		'/fal/run/darkroom/scenes'
	]) {
		const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization, content-type' }
		const before = await fetchEdge(path, { method: 'OPTIONS', headers: { origin, ...asked } })
		expect([before.status, before.headers.get('access-control-allow-origin')]).toEqual([204, '*'])
		expect(before.headers.get('access-control-allow-headers')).toMatch(/authorization/)
		expect(before.headers.get('access-control-allow-methods')).toMatch(/POST/)
		const answer = await post(path, key, {}, { origin })
		expect([answer.headers.get('access-control-allow-origin'), answer.headers.get('access-control-allow-credentials')]).toEqual([
			'*',
			null
		])
		expect(answer.headers.get('access-control-expose-headers')).toBe('*')
	}
	const described = await fetchEdge('/openapi.json', { headers: { origin } })
	expect(described.headers.get('access-control-allow-origin')).toBe('*')
	const page = await fetchEdge('/account', { headers: { origin } })
	expect(page.headers.get('access-control-allow-origin')).toBeNull()
})

it.each([
	['limit=abc', 'One field is not as expected: /limit: expected an integer from 1 to 100, got "abc".'],
	['limit=101', 'One field is not as expected: /limit: expected an integer from 1 to 100, got "101".'],
	['limit=1&limit=2', 'One field is not as expected: /limit: expected string, got an array of 2.'],
	[
		'created_after=yesterday',
		'One field is not as expected: /created_after: expected a time like 2026-01-31T12:00:00Z, got "yesterday".'
	],
	[
		'page=2',
		'One field is not as expected: /page: expected only limit, cursor, status, model, created_after, created_before, got the field "page".'
	],
	[
		'created_after=2026-01-02T00:00:00Z&created_before=2026-01-01T00:00:00Z',
		'/created_after: expected a time that is not after created_before, got "2026-01-02T00:00:00Z".'
	]
])('says what came in a query: %s', async (query, detail) => {
	const { key } = await newAccount()
	const answer = await fetchEdge(`/v1/generations?${query}`, { headers: { authorization: `Bearer ${key}` } })
	expect((await answer.json<{ detail: string }>()).detail).toBe(detail)
})

it.each([
	[
		'POST',
		'/v1/admin/accounts/Acme/credits',
		'/account: expected a name of 3 to 32 small letters, digits and hyphens, got "Acme"'
	],
	['GET', '/v1/admin/accounts/Acme', '/account: expected a name of 3 to 32 small letters, digits and hyphens, got "Acme"'],
	['DELETE', '/v1/admin/accounts/acme/keys/web', '/id: expected text like /^key_[0-9a-z]{26}$/, got "web"']
])('says what in a path names nothing that could be: %s %s', async (method, path, what) => {
	const answer = await fetchEdge(path, { method, headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` } })
	expect([answer.status, (await answer.json<{ detail: string }>()).detail]).toEqual([404, `Nothing can be at ${path}: ${what}.`])
})

it.each([
	['{"url":"https://a.example",}', /^The body could not be parsed as JSON: .* at position 27 /],
	['', 'The body could not be parsed as JSON: Unexpected end of JSON input.']
])('says where a body ceases to be JSON: %j', async (body, detail) => {
	const { key } = await newAccount()
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
	const answer = await fetchEdge('/v1/webhooks', { method: 'POST', headers, body })
	expect([answer.status, (await answer.json<{ detail: string }>()).detail]).toEqual([400, expect.stringMatching(detail)])
})

it('says what it expected in words where they are plainer', async () => {
	const { key } = await newAccount()
	const detail = async (path: string, body: object) => (await (await post(path, key, body)).json<{ detail: string }>()).detail
	const md5 = '58308df3bc41549b6cb076a4f849666c'
	expect(await detail('/v1/uploads', { content_type: 'image/png', size: 4, md5 })).toBe(
		`One field is not as expected: /md5: expected an MD5 in base64, of 22 characters and ==, got "${md5}".`
	)
	expect(await detail('/v1/generations', { model: 'scenes-classes', class_label: 0, prompt: 'a red cube' })).toBe(
		'One field is not as expected: /prompt: expected no text, got "a red cube".'
	)
	// Of what is one character to everyone, and two to JavaScript.
	expect(await detail('/v1/generations', { model: 'scenes', prompt: '🔴'.repeat(1_001) })).toBe(
		`One field is not as expected: /prompt: expected at most 1000 characters, got "${'🔴'.repeat(30)}…" (1001 characters).`
	)
})

it.each([
	['application/json;charset=UTF-8', 202],
	['application/json; charset="utf8"', 202],
	['application/json; charset=iso-8859-1', 415],
	['application/json; a=b; charset=utf-16', 415]
])('takes JSON in UTF-8 alone: %s', async (type, status) => {
	const { key } = await newAccount()
	const answer = await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere' }, { 'content-type': type })
	expect(answer.status).toBe(status)
})

it('says that it takes no compressed bodies', async () => {
	const { key } = await newAccount()
	const packed = new Blob(['{"model":"scenes","prompt":"a red sphere"}']).stream().pipeThrough(new CompressionStream('gzip'))
	const answer = await fetchEdge('/v1/generations', {
		method: 'POST',
		headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-encoding': 'gzip' },
		body: await new Response(packed).arrayBuffer()
	})
	expect([answer.status, await answer.json()]).toMatchObject([
		415,
		{ detail: 'Expected a body without content-encoding, got gzip.' }
	])
})
