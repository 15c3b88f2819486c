import { expect, it } from 'vitest'
import { fetchEdge } from '../testing.ts'

interface Document {
	openapi: string
	paths: Record<string, Record<string, { operationId: string; security: object[]; responses: object }>>
}

it('GET /openapi.json describes what clients may call, and how each is let in', async () => {
	const answer = await fetchEdge('/openapi.json')
	const { openapi, paths } = await answer.json<Document>()
	expect(openapi).toBe('3.1.0')
	expect(Object.keys(paths).filter((path) => path.startsWith('/callbacks'))).toEqual([])
	expect(paths['/v1/generations']!.post).toMatchObject({ operationId: 'postGenerations', security: [{ key: [] }] })
	expect(paths['/v1/models']!.get).toMatchObject({ security: [] })
	expect(paths['/v1/admin/accounts/{account}/keys']!.post).toMatchObject({ security: [{ admin: [] }] })
	const ids = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
	expect(new Set(ids).size).toBe(ids.length)
})
