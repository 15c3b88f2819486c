import { runInDurableObject } from 'cloudflare:test'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Scope } from '../../shared/contract/account.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { env, fetchEdge, newAccount, post, remove } from '../testing.ts'

type Operation = { security: Record<string, unknown>[]; requestBody?: object }

/** What is open to everyone. */
const open = ['GET /health', 'GET /v1/models']

/** The scopes of which a key needs one. */
function scopesOf(method: string, path: string): Scope[] {
	if (path.startsWith('/v1/keys')) {
		return ['admin']
	}
	if (method !== 'GET' || path === '/v1/webhooks/secret') {
		return ['generate']
	}
	return path.startsWith('/v1/generations/') ? ['read', 'generate'] : ['read']
}

describe('every route that is described', () => {
	let operations: { method: string; path: string; url: string; operation: Operation }[]
	let other: string
	const keys = {} as Record<Scope, string>
	let useless: Record<string, string | undefined>
	beforeAll(async () => {
		const { account, key } = await newAccount()
		other = (await newAccount()).key
		const make = async (body: object) =>
			(await post(`/v1/admin/accounts/${account}/keys`, env.ADMIN_TOKEN, body)).json<{ id: string; key: string }>()
		for (const scope of ['generate', 'read', 'admin'] as const) {
			keys[scope] = (await make({ scopes: [scope] })).key
		}
		const [expired, revoked, rotated] = [await make({}), await make({}), await make({})]
		await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) => {
			storage.sql.exec('UPDATE keys SET expires_at = 1 WHERE id = ?', expired.id)
		})
		await remove(`/v1/keys/${revoked.id}`, keys.admin)
		await post(`/v1/keys/${rotated.id}/rotate`, keys.admin, { overlap: 0 })
		useless = {
			none: undefined,
			foreign: 'sk-proj-0123456789',
			'of another account by its name alone': key.replace(account, 'acme'),
			expired: expired.key,
			revoked: revoked.key,
			rotated: rotated.key
		}
		const { id: generation } = await (
			await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere' })
		).json<Generation>()
		const { id: webhook } = await (await post('/v1/webhooks', key, { url: 'https://example.com/' })).json<{ id: string }>()
		const { id: delivery } = await (await post(`/v1/webhooks/${webhook}/ping`, key, '')).json<{ id: string }>()
		const idIn = (path: string) =>
			path.includes('/metering/')
				? 'mtr_00000000000000000000000000'
				: path.includes('/keys/')
					? revoked.id
					: path.includes('/deliveries/')
						? delivery
						: path.includes('/webhooks/')
							? webhook
							: generation
		const { paths } = await (await fetchEdge('/openapi.json')).json<{ paths: Record<string, Record<string, Operation>> }>()
		operations = Object.entries(paths).flatMap(([path, item]) =>
			Object.entries(item).map(([method, operation]) => ({
				method: method.toUpperCase(),
				path,
				url: path.replace('{account}', account).replace('{sink}', 'stripe').replace('{n}', '0').replace('{id}', idIn(path)),
				operation
			}))
		)
		// Last, for what they remove.
		operations.sort((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'))
	})

	const ask = async ({ method, url, operation }: (typeof operations)[number], bearer: string | undefined) => {
		const headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) }
		const answer = await fetchEdge(url, { method, headers, redirect: 'manual', ...(operation.requestBody && { body: '{}' }) })
		await answer.body?.cancel()
		return answer.status
	}
	const doorsOf = (name: string) => operations.filter(({ operation }) => operation.security.some((one) => name in one))

	it('lets in who has a key, or the admin, and nobody else', async () => {
		expect(
			operations.filter(({ operation }) => operation.security.length === 0).map(({ method, path }) => `${method} ${path}`)
		).toEqual(open)
		expect(operations).toHaveLength(open.length + doorsOf('key').length + doorsOf('admin').length)
		for (const door of operations.filter(({ operation }) => operation.security.length > 0)) {
			const isAdmins = door.path.startsWith('/v1/admin/')
			for (const [what, key] of Object.entries({ ...useless, stranger: isAdmins ? other : env.ADMIN_TOKEN })) {
				// A body may be looked at before the account is asked whether the key is still good.
				const expected =
					door.operation.requestBody && ['expired', 'revoked', 'rotated'].includes(what) && !isAdmins ? [401, 422] : [401]
				expect(expected, `${door.method} ${door.path} with a key: ${what}`).toContain(await ask(door, key))
			}
		}
	})

	it('lets a key do what its scopes allow', async () => {
		for (const door of doorsOf('key')) {
			const needed = scopesOf(door.method, door.path)
			for (const scope of (['generate', 'read', 'admin'] as const).filter((scope) => !needed.includes(scope))) {
				const expected = door.operation.requestBody ? [403, 422] : [403]
				expect(expected, `${door.method} ${door.path} with ${scope}`).toContain(await ask(door, keys[scope]))
			}
		}
	})

	it('has nothing of another account, and does not say that there is anything', async () => {
		for (const door of doorsOf('key').filter(({ path }) => path.includes('{id}'))) {
			const expected = door.operation.requestBody ? [404, 422] : [404]
			expect(expected, `${door.method} ${door.path}`).toContain(await ask(door, other))
		}
	})
})
