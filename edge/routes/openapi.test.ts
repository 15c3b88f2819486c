import { expect, it } from 'vitest'
import { fetchEdge } from '../testing.ts'

interface Document {
	openapi: string
	components: { schemas: Record<string, { properties: Record<string, { description?: string }> }> }
	paths: Record<string, Record<string, { operationId: string; security: object[]; responses: object }>>
}

it('GET /openapi.json describes what clients may call, and how each is let in', async () => {
	const answer = await fetchEdge('/openapi.json')
	const { openapi, paths, components } = await answer.json<Document>()
	expect(openapi).toBe('3.1.0')
	expect(Object.keys(paths).filter((path) => path.startsWith('/callbacks'))).toEqual([])
	expect(paths['/v1/generations']!.post).toMatchObject({ operationId: 'postGenerations', security: [{ key: [] }] })
	expect(paths['/v1/models']!.get).toMatchObject({ security: [] })
	expect(paths['/v1/webhooks/{id}']!.get!.responses).toHaveProperty('403')
	const { responses } = paths['/v1/admin/accounts/{account}/ledger']!.get!
	expect(Object.keys(responses)).toEqual(['200', '401', '404', '422'])
	expect(paths['/v1/admin/accounts/{account}/keys']!.post).toMatchObject({ security: [{ admin: [] }] })
	// What programs that write clients name their types by; and nothing that is named is told twice.
	expect(paths['/v1/generations/{id}']!.get).toMatchObject({
		responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Generation' } } } } }
	})
	expect(components.schemas.Generation).toMatchObject({ type: 'object', additionalProperties: false })
	const fields = Object.entries(components.schemas.GenerationOrder!.properties)
	expect(fields.filter(([, { description }]) => !description).map(([name]) => name)).toEqual([])
	// Programs that write clients take what has a default for what must be sent.
	expect(JSON.stringify(components.schemas.GenerationOrder)).not.toContain('"default":')
	expect(paths['/v1/generations']!.post!.responses).toMatchObject({
		200: {
			content: {
				'application/json': {
					schema: { anyOf: [{ $ref: '#/components/schemas/Generation' }, { $ref: '#/components/schemas/DryRun' }] }
				}
			}
		}
	})
	expect(JSON.stringify(components)).not.toContain('allOf')
	expect(JSON.stringify(components.schemas.GenerationOrder)).toContain('"minItems":4,"maxItems":4')
	expect(paths['/v1/generations']!.get).toMatchObject({
		parameters: expect.arrayContaining([expect.objectContaining({ name: 'cursor', description: expect.stringMatching(/./) })])
	})
	const ids = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
	expect(new Set(ids).size).toBe(ids.length)
})

// openapi-generator for Swift stops at one.
it('no time has null as its default', async () => {
	const document = await (await fetchEdge('/openapi.json')).text()
	expect(document).toContain('"format":"date-time"')
	expect(document.match(/"format":"date-time"[^{}]*"default":null|"default":null[^{}]*"format":"date-time"/)).toBeNull()
})
