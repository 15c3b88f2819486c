import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { z } from 'zod'
import type { Generation } from '../../../shared/contract/generation.ts'
import { isTerminal } from '../../../shared/contract/generation.ts'
import { inputLimits } from '../../../shared/input-limits.ts'
import { Task } from '../../../shared/tasks.ts'
import type { App } from '../../app.ts'
import { limitInputs, readJson } from '../../body.ts'
import { ProblemError } from '../../errors.ts'
import { withoutFlood } from '../../flood.ts'
import { parse } from '../../issues.ts'
import { respondEvents } from '../../sse.ts'
import { notServed, problemOf } from '../failure.ts'
import { Fields } from '../fields.ts'
import { respondInline } from '../inline.ts'
import { Native, withClientKey } from '../native.ts'
import { respondError, respondFailed } from './errors.ts'
import { priorityOf, startTimeoutOf } from './headers.ts'
import { toNative } from './input.ts'
import { resultOf, statusOf, submitted } from './shapes.ts'
import { jwks } from './signature.ts'
import { initiateUpload, readFile, takeFile, withPlace } from './storage.ts'
import { resultEvents, statusEvents } from './stream.ts'

/**
 * fal's queue, its synchronous calls and its storage. fal-js calls hosts of theirs alone, or a proxy that it tells the address in
 * `x-fal-target-url` (src/middleware.ts): `proxyUrl: { url: '…/fal/proxy', when: 'always' }`. Nothing is passed on: an address only says what
 * is asked of us. Clients that can be told other hosts (fal-client on PyPI: FAL_RUN_HOST, FAL_QUEUE_RUN_HOST) find them at /fal/run and
 * /fal/queue.
 */
export const fal = (app: OpenAPIHono<App>) => {
	const at = new OpenAPIHono<App>()
	at.onError(async (error, c) => {
		const { problem, headers } = await problemOf(error, c)
		return respondError(c, problem, headers.get('retry-after'))
	})
	at.use(withoutFlood)
	const handle = (c: Context<App>, { host, pathname, searchParams }: URL, queue: string) => {
		const [, name, model = '', task, id = '', rest = ''] = address.exec(pathname) ?? []
		const native = new Native(app, c, searchParams)
		const call: Call = { c, native, queue: `${queue}/${name}`, model, task, id, query: searchParams }
		const asked = host === 'rest.fal.ai' ? pathname : `${id && '/requests/:id'}${rest}`
		const handler = handlers[`${c.req.method} ${host}${asked}`]
		if (!name || !handler) {
			throw notServed(`${c.req.method} ${host}${pathname}`, served)
		}
		return handler(call)
	}
	const methods = ['GET', 'POST', 'PUT']
	// In what they are answered, URLs are theirs, too: fal-js calls no others, and through the proxy they come back here.
	at.on(methods, '/proxy', withClientKey, limitInputs, (c) => handle(c, targetOf(c), 'https://queue.fal.run'))
	for (const [path, host] of Object.entries({ '/run': 'https://fal.run', '/queue': 'https://queue.fal.run' })) {
		at.on(methods, `${path}/*`, withClientKey, limitInputs, (c) => {
			const { pathname, search } = new URL(c.req.url)
			return handle(
				c,
				new URL(`${host}${pathname.replace(/^\/fal\/[a-z]+/, '')}${search}`),
				`${c.var.env.PUBLIC_ORIGIN}/fal/queue`
			)
		})
	}
	at.put('/files/:account/:id', withPlace, limitInputs, (c) => takeFile(c, c.req.param('account'), c.req.param('id')))
	at.get('/files/:account/:id', (c) => readFile(c, c.req.param('account'), c.req.param('id')))
	at.get('/.well-known/jwks.json', async (c) => c.json(await jwks(c.var.env)))
	app.route('/fal', at)
}

interface Call {
	c: Context<App>
	native: Native
	/** Where the app's requests are for this client: `…/owner/alias`. */
	queue: string
	/** The alias. */
	model: string
	task: string | undefined
	id: string
	query: URLSearchParams
}

const served =
	'fal.run/<owner>/<model> with its /stream, queue.fal.run/<owner>/<model>, both also with a task such as /image-to-image, ' +
	'and uploads, but no realtime connections'

/**
 * An app's name, a task, as in `fal-ai/fast-sdxl/image-to-image`, a request, and the rest. Programs that make the addresses of a request themselves keep the
 * task in them, and end that of the result as fal's documentation does (https://fal.ai/docs/documentation/model-apis/inference/queue).
 */
const address = new RegExp(
	`^/([^/]+/([^/]+))(?:/(${Task.options.join('|')})(?![^/]))?(?:/requests/([^/]+)(?:/response$)?)?(/.*)?$`
)

/** All that is served, by method and address. */
const handlers: Record<string, (call: Call) => Promise<Response> | Response> = {
	async 'POST fal.run'(call) {
		const { c, native } = call
		const input = await inputOf(c)
		const generation = await native.ended(await native.order(orderOf(call, input), 60))
		const { id, status, images } = generation
		return input.sync_mode === true && status === 'succeeded'
			? respondInline(c.var.env, images, (base64) => resultOf(c.var.env, generation, base64), { 'x-fal-request-id': id })
			: result(c, generation)
	},
	async 'POST fal.run/stream'(call) {
		const { c, native } = call
		const accepted = await native.order(orderOf(call, await inputOf(c)))
		return respondEvents(resultEvents(c.var.env, native, accepted), { 'x-fal-request-id': accepted.id })
	},
	async 'POST queue.fal.run'(call) {
		const { c, native, queue, query } = call
		if (query.has('fal_max_queue_length')) {
			const detail =
				'fal_max_queue_length: expected none, for no queue here has a longest length; x-fal-request-timeout ends what has not started in time.'
			throw new ProblemError({ code: 'invalid-request', detail })
		}
		const url = query.get('fal_webhook')
		const webhook = url ? { webhook: { url, format: 'fal' } } : {}
		const { id } = await native.order({ ...orderOf(call, await inputOf(c)), ...webhook })
		c.header('x-fal-request-id', id)
		return c.json({ status: 'IN_QUEUE', ...submitted(queue, id), queue_position: 0 })
	},
	async 'GET queue.fal.run/requests/:id/status'({ c, native, queue, id, query }) {
		const generation = await native.generation(id)
		return c.json(statusOf(queue, generation, wantsLogs(query)), isTerminal(generation.status) ? 200 : 202)
	},
	async 'GET queue.fal.run/requests/:id/status/stream'({ native, queue, id, query }) {
		return respondEvents(statusEvents(native, await native.generation(id), queue, wantsLogs(query)))
	},
	async 'GET queue.fal.run/requests/:id'({ c, native, id }) {
		const generation = await native.generation(id)
		if (!isTerminal(generation.status)) {
			return c.json({ detail: 'Request is still in progress' }, 400)
		}
		return result(c, generation)
	},
	async 'PUT queue.fal.run/requests/:id/cancel'({ c, native, id }) {
		if (isTerminal((await native.generation(id)).status)) {
			return c.json({ status: 'ALREADY_COMPLETED' }, 400)
		}
		await native.cancel(id)
		return c.json({ status: 'CANCELLATION_REQUESTED' }, 202)
	},
	'POST rest.fal.ai/storage/upload/initiate': ({ c, native }) => initiateUpload(c, native.key),
	/** What their client sends in parts is larger than 90 MB. */
	'POST rest.fal.ai/storage/upload/initiate-multipart'() {
		throw new ProblemError({ code: 'payload-too-large', detail: `Expected at most ${inputLimits.bytes} bytes.` })
	}
}

/** One client writes 1, the other true. */
const wantsLogs = (query: URLSearchParams) => ['1', 'true'].includes(query.get('logs') ?? '')

function targetOf(c: Context<App>): URL {
	const target = c.req.header('x-fal-target-url') ?? ''
	// Where older clients have their files.
	const url = URL.canParse(target)
		? new URL(target.replace(/^https:\/\/rest\.alpha\.fal\.ai\//, 'https://rest.fal.ai/'))
		: undefined
	if (url?.protocol !== 'https:' || !['fal.run', 'queue.fal.run', 'rest.fal.ai'].includes(url.host)) {
		throw new ProblemError({
			code: 'invalid-request',
			detail: `x-fal-target-url: expected an https URL of fal.run, queue.fal.run or rest.fal.ai, got ${JSON.stringify(target.slice(0, 60))}.`
		})
	}
	return url
}

/** Without input, which some models need none of, their client sends no body. */
async function inputOf(c: Context<App>): Promise<z.infer<typeof Fields>> {
	const isEmpty = c.req.raw.body === null || c.req.header('content-length') === '0'
	return isEmpty ? {} : parse(Fields, await readJson(c))
}

function orderOf({ c, model, task }: Call, input: z.infer<typeof Fields>): Record<string, unknown> {
	const priority = priorityOf(c.req.header('x-fal-queue-priority'))
	const start_deadline = startTimeoutOf(c.req.header('x-fal-request-timeout'))
	return {
		...toNative(model, input),
		model,
		...(task && { task }),
		...(priority && { priority }),
		...(start_deadline && { start_deadline })
	}
}

function result(c: Context<App>, generation: Generation): Response {
	c.header('x-fal-request-id', generation.id)
	return generation.status === 'succeeded' ? c.json(resultOf(c.var.env, generation)) : respondFailed(c, generation)
}
