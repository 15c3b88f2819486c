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

it('keys are made by the admin alone', async () => {
	const { key } = await newAccount()
	for (const bearer of [undefined, key, `${env.ADMIN_TOKEN}x`]) {
		expect(await codeOf(await post('/v1/admin/accounts/acme/keys', bearer, {}))).toBe('401 unauthorized')
	}
	const made = await post('/v1/admin/accounts/acme/keys', env.ADMIN_TOKEN, { name: ' first ' })
	expect(made.status).toBe(201)
	expect(await made.json()).toMatchObject({ account: 'acme', name: 'first', key: expect.stringMatching(/^dk_acme_/) })
	expect(await codeOf(await post('/v1/admin/accounts/a/keys', env.ADMIN_TOKEN, {}))).toBe('404 not-found')
	expect(await codeOf(await post('/v1/admin/accounts/acme/keys', env.ADMIN_TOKEN, { nam: 'x' }))).toBe('422 invalid-request')
})

it('GET /account: a page that loads and calls nothing from elsewhere', async () => {
	const page = await fetchEdge('/account')
	const html = await page.text()
	const policy = page.headers.get('content-security-policy')
	expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
	expect(html).not.toMatch(/<script(?![^>]* src="\/)|<style|\son\w+=|style=/)
	for (const part of ['/site/account.js', '/site/account.css']) {
		expect(html).toContain(part)
		const answer = await fetchEdge(part)
		expect(answer.headers.get('content-type')).toMatch(/^text\/(javascript|css)/)
		const etag = answer.headers.get('etag') as string
		expect((await fetchEdge(part, { headers: { 'if-none-match': etag } })).status).toBe(304)
	}
})
