import type { OpenAPIHono } from '@hono/zod-openapi'
import { Model } from '../../shared/catalog.ts'
import { AccountView, ApiKey, LedgerEntry, Usage } from '../../shared/contract/account.ts'
import { Archive, ArchivedGeneration } from '../../shared/contract/archive.ts'
import { GenerationEvent } from '../../shared/contract/events.ts'
import { Generation, Picture, ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { GenerationOrder } from '../../shared/contract/order.ts'
import { FieldError, Problem } from '../../shared/contract/problem.ts'
import { Upload, UploadRequest } from '../../shared/contract/upload.ts'
import { Delivery, Endpoint } from '../../shared/contract/webhooks.ts'
import type { App } from '../app.ts'
import { DryRun } from './create-generation.ts'

/** What is described once, under a name: programs that write clients call their types so. */
const named = {
	Account: AccountView,
	ApiKey,
	Archive,
	ArchivedGeneration,
	Delivery,
	DryRun,
	FieldError,
	Generation,
	GenerationEvent,
	GenerationOrder,
	LedgerEntry,
	Model,
	Picture,
	Problem,
	ResolvedRequest,
	Upload,
	UploadRequest,
	Usage,
	Warning,
	Webhook: Endpoint
}

type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>

/** As much of an operation as is looked at here. */
interface Operation {
	operationId?: string
	tags?: string[]
	security?: Record<string, never[]>[]
	parameters?: { name: string; in: string; description?: string }[]
	requestBody?: object
	responses: Record<string, { description: string; content?: Record<string, { schema?: object }> }>
}

/** How any JSON body may be refused: routes say what is their own. */
const refusals = {
	400: 'malformed-json',
	408: 'too-slow',
	413: 'payload-too-large',
	415: 'unsupported-media-type',
	422: 'invalid-request'
}

/** What parameters mean wherever they are. */
const meanings: Record<string, string> = {
	limit: 'How many a page has at most.',
	cursor: 'The `next` of the page before.',
	from: 'The first day, in UTC.',
	to: 'The last day, in UTC.',
	created_after: 'Those that were ordered then, or later.',
	created_before: 'Those that were ordered before.',
	n: 'Which picture, from 0 on.'
}

const info = {
	title: 'Darkroom',
	version: '1',
	description:
		'An API key goes into the header of each call, as `Authorization: Bearer dk_…`; the operator of this server gives them out. ' +
		'Ask for pictures with `POST /v1/generations`; hold the request with `Prefer: wait=30`, watch its events, poll it, or be told by webhook. ' +
		'Errors are problem details (RFC 9457) that name each field at fault by its JSON pointer. ' +
		"The clients of OpenAI, Replicate and fal find their vendors' APIs under `/openai/v1`, `/replicate/v1` and `/fal`.",
	license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
}

/** The API's description (OpenAPI 3.1), made of the routes themselves. What GPU nodes call is not in it. */
export const openapi = (app: OpenAPIHono<App>) => {
	app.openAPIRegistry.registerComponent('securitySchemes', 'key', {
		type: 'http',
		scheme: 'bearer',
		description: 'An API key, `dk_…`.'
	})
	app.openAPIRegistry.registerComponent('securitySchemes', 'admin', {
		type: 'http',
		scheme: 'bearer',
		description: "The operator's token."
	})
	for (const [name, schema] of Object.entries(named)) {
		// Those alone can be registered that were made after @hono/zod-openapi was loaded, and which come first differs.
		app.openAPIRegistry.register(name, schema.clone())
	}
	// Made when it is first asked for: that takes as long as hundreds of requests, and anyone may ask. An isolate has one origin.
	let made: string | undefined
	app.get('/openapi.json', (c) => {
		made ??= JSON.stringify(documentOf(app, c.var.env.PUBLIC_ORIGIN))
		return c.body(made, 200, { 'content-type': 'application/json' })
	})
}

function documentOf(app: OpenAPIHono<App>, url: string): Document {
	const document = app.getOpenAPI31Document({ openapi: '3.1.0', info, servers: [{ url }] })
	for (const [path, item] of Object.entries(document.paths ?? {})) {
		for (const [method, operation] of Object.entries(item as Record<string, Operation>)) {
			Object.assign(operation, described(method, path, operation))
			for (const parameter of operation.parameters ?? []) {
				parameter.description ??= meanings[parameter.name] ?? ''
			}
			asEvents(operation)
		}
	}
	return withReferences(document)
}

/** The document with a reference wherever a schema is one of those that have a name. */
function withReferences({ components, ...document }: Document): Document {
	const schemas = components?.schemas ?? {}
	const names = new Map(Object.entries(schemas).map(([name, schema]) => [JSON.stringify(schema), name]))
	const at = (value: unknown): unknown => {
		if (typeof value !== 'object' || value === null) {
			return value
		}
		const name = names.get(JSON.stringify(value))
		return name ? { $ref: `#/components/schemas/${name}` } : within(value)
	}
	const within = (value: object): unknown =>
		Array.isArray(value) ? value.map(at) : Object.fromEntries(Object.entries(value).map(([name, part]) => [name, at(part)]))
	const each: Record<string, unknown> = Object.fromEntries(
		Object.entries(schemas).map(([name, schema]) => [name, within(schema)])
	)
	each.GenerationOrder = withoutDefaults(each.GenerationOrder)
	return { ...(within(document) as Document), components: { ...components, schemas: each } } as Document
}

/**
 * The schema of what is sent, whose descriptions say what absent fields mean: openapi-typescript takes a field of a named schema that has a default for
 * one that is never absent.
 */
const withoutDefaults = (schema: unknown): unknown =>
	JSON.parse(JSON.stringify(schema, (name, value) => (name === 'default' ? undefined : value)))

/** A stream as its events, one of which the schema is about: their `data` is text, and the text is JSON. */
function asEvents({ responses }: Operation): void {
	for (const { content } of Object.values(responses)) {
		const stream = content?.['text/event-stream']
		if (stream) {
			const text = { type: 'string' }
			const data = { ...text, contentMediaType: 'application/json', contentSchema: stream.schema }
			stream.schema = { type: 'object', properties: { id: text, event: text, data }, required: ['id', 'event', 'data'] }
		}
	}
}

/** What follows from where an operation is and how it may answer. */
function described(method: string, path: string, { parameters = [], requestBody, responses }: Operation): Partial<Operation> {
	const words = path.split(/[^a-z]+/).filter((word) => word !== '' && word !== 'v')
	const isAdmin = words[0] === 'admin'
	const { content = {} } = responses['401'] ?? {}
	const needsKey = '401' in responses && !isAdmin
	const known = {
		...(needsKey && {
			403: `forbidden: the key lacks the scope for it${words[0] === 'keys' && requestBody ? ', or has limits itself' : ''}`
		}),
		...(path.includes('{') && '401' in responses && { 404: 'not-found' }),
		...(path.includes('/generations/{id}') && { 410: 'archived: what is kept of it is in `GET /v1/archives`' }),
		...(parameters.some(({ in: where }) => where === 'query') && { 422: 'invalid-request' }),
		...(requestBody && refusals)
	}
	const refused = Object.entries(known).map(([status, description]) => [status, { description, content }])
	return {
		operationId: [method, ...words].map((word, i) => (i === 0 ? word : `${word[0]!.toUpperCase()}${word.slice(1)}`)).join(''),
		responses: { ...Object.fromEntries(refused), ...responses },
		tags: [isAdmin ? 'admin' : (words[0] ?? '')],
		// Only what checks a key can answer 401.
		security: !('401' in responses) ? [] : isAdmin ? [{ admin: [] }] : [{ key: [] }]
	}
}
