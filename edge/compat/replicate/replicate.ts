import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { cors } from 'hono/cors'
import { type Model, models } from '../../../shared/catalog.ts'
import type { AccountView } from '../../../shared/contract/account.ts'
import { type Generation, isTerminal } from '../../../shared/contract/generation.ts'
import { type EventName, endings, type WebhookSecret, type WebhookTarget } from '../../../shared/contract/webhooks.ts'
import type { App } from '../../app.ts'
import { limitBody, limitInputs, readJson } from '../../body.ts'
import { ProblemError, unwrap } from '../../errors.ts'
import { withoutFlood } from '../../flood.ts'
import { sameText } from '../../hmac.ts'
import { findFile, removeFile } from '../../inputs/files.ts'
import { describe, parse } from '../../issues.ts'
import { promptly } from '../../promptly.ts'
import { givenIn } from '../../query.ts'
import { refuse } from '../../refuse.ts'
import { applied, waitOf } from '../../routes/prefer.ts'
import { respondEvents } from '../../sse.ts'
import { notServed, problemOf } from '../failure.ts'
import { Fields } from '../fields.ts'
import { limitOf } from '../limits.ts'
import { clientKey, expectValidKey, Native, Refused, withClientKey } from '../native.ts'
import { secondsOf } from './duration.ts'
import { errorOf } from './errors.ts'
import { createFile, fileBody, filePage } from './files.ts'
import { toNative } from './input.ts'
import { deploymentBody, findNamed, hardware, modelBody, modelNamed, modelsAbout, versionBody, versionOf } from './models.ts'
import { base, predictionOf, streamToken } from './prediction.ts'
import { predictionEvents, toldBy } from './stream.ts'

/** What is Replicate's alone; `input` is the native API's to judge. */
const PredictionRequest = z.looseObject({
	version: z.string().optional(),
	model: z.string().optional(),
	input: Fields,
	webhook: z.string().nullish(),
	webhook_events_filter: z.array(z.enum(['start', 'output', 'logs', 'completed'])).nullish(),
	/** An older name for a webhook that is told of the end alone. */
	webhook_completed: z.string().nullish()
})

/** Filters are the native API's to judge, but for one: none of our predictions comes from a website. */
const PredictionsRequest = z.looseObject({ source: z.literal('web').optional() })

/** Nobody is called for lines of a log. */
const events: Record<string, EventName[]> = {
	start: ['generation.started'],
	output: ['generation.image'],
	logs: [],
	completed: endings
}

const page = <T>(results: T[], next: string | null = null) => ({ previous: null, next, results })

/** Replicate's HTTP API, as its clients speak it (replicate-javascript lib/, replicate-python), at /replicate/v1. */
export const replicate = (app: OpenAPIHono<App>) => {
	const at = new OpenAPIHono<App>()
	at.onError(async (error, c) => {
		const { problem, headers } = await problemOf(error, c)
		const isOrder = error instanceof Refused && c.req.method === 'POST'
		return c.newResponse(JSON.stringify(errorOf(problem, isOrder)), problem.status as 400, {
			...limitHeaders(headers),
			'content-type': 'application/problem+json'
		})
	})
	at.use(withoutFlood)

	const create = async (c: Context<App>, model?: Model) => {
		const { version, model: named = version, input, ...hooks } = parse(PredictionRequest, await readJson(c))
		const native = new Native(app, c)
		const wait = waitOf(c.req.header('prefer'))
		const deadline = secondsOf(c.req.header('cancel-after'))
		const id = model?.id ?? modelNamed(named ?? '')
		const order = {
			...toNative(id, input),
			webhook: webhookOf(hooks),
			model: id || undefined,
			...(deadline !== undefined && { deadline })
		}
		const generation = await native.order(order, wait)
		const prediction = predictionOf(c.var.env, native.account, generation)
		// replicate-javascript takes any other status for an end when it asked to wait, and gives its caller null.
		const isLate = wait !== undefined && !isTerminal(generation.status)
		return c.json(isLate ? { ...prediction, status: 'starting' } : prediction, 201, {
			...(wait !== undefined && applied(wait)),
			...limitHeaders(native.headers)
		})
	}
	const prediction = (c: Context<App>, native: Native, generation: Generation) =>
		c.json(predictionOf(c.var.env, native.account, generation), 200, limitHeaders(native.headers))

	at.post('/predictions', withClientKey, limitInputs, (c) => create(c))
	at.post('/models/:owner/:name/predictions', withClientKey, limitInputs, (c) => create(c, findNamed(c.req.param('name'))))
	// A deployment is a model that always runs, and here they all do.
	at.post('/deployments/:owner/:name/predictions', withClientKey, limitInputs, (c) => create(c, findNamed(c.req.param('name'))))
	at.get('/deployments', (c) => c.json(page(models.map(deploymentBody))))
	at.get('/deployments/:owner/:name', (c) => c.json(deploymentBody(findNamed(c.req.param('name')))))
	at.get('/predictions/:id', async (c) => {
		const native = new Native(app, c)
		return prediction(c, native, await native.generation(c.req.param('id')))
	})
	at.post('/predictions/:id/cancel', async (c) => {
		const native = new Native(app, c)
		return prediction(c, native, await native.cancel(c.req.param('id')))
	})
	at.get('/predictions', async (c) => {
		const native = new Native(app, c)
		const { source, ...filters } = parse(PredictionsRequest, givenIn(c))
		const asked = new URLSearchParams({ limit: '100', ...(filters as Record<string, string>) })
		const listed = await native.json<{ generations: Generation[]; next: string | null }>(`/v1/generations?${asked}`)
		if (source) {
			return c.json(page([]))
		}
		asked.delete('limit')
		asked.set('cursor', listed.next ?? '')
		const { env } = c.var
		const next = listed.next && `${env.PUBLIC_ORIGIN}${base}/predictions?${asked}`
		return c.json(
			page(
				listed.generations.map((generation) => predictionOf(env, native.account, generation)),
				next
			)
		)
	})
	// Pages follow it with an `EventSource` as Replicate's documentation has it, that is with credentials, though there are none.
	at.use('/streams/*', cors({ origin: (origin) => origin, credentials: true }))
	at.get('/streams/:account/:id', async (c) => {
		const { account, id } = c.req.param()
		const { until = '', token = '' } = c.req.query()
		if (!sameText(token, streamToken(c.var.env, account, id, until)) || Number(until) * 1_000 < Date.now()) {
			throw new ProblemError({ code: 'not-found', detail: 'There is no such stream, or its URL has expired.' })
		}
		const told = toldBy(id, c.req.header('last-event-id'))
		if (told.has('done')) {
			return c.body(null, 204)
		}
		unwrap(await promptly(c.var.env.ACCOUNT.getByName(account).watch(id)))
		return respondEvents(predictionEvents(c.var.env, account, id, told))
	})

	at.post('/files', withClientKey, limitInputs, (c) => createFile(c, clientKey(c)))
	at.get('/files', (c) => filePage(c, clientKey(c)))
	at.get('/files/:id', async (c) => c.json(fileBody(c, await findFile(c.var.env, clientKey(c), c.req.param('id')))))
	at.delete('/files/:id', async (c) => {
		await removeFile(c.var.env, clientKey(c), c.req.param('id'))
		return c.body(null, 204)
	})
	at.get('/account', async (c) => {
		const { account } = await new Native(app, c).json<AccountView>('/v1/account')
		return c.json({ type: 'organization', username: account, name: account })
	})
	at.get('/webhooks/default/secret', async (c) => {
		const { secret } = await new Native(app, c).json<WebhookSecret>('/v1/webhooks/secret')
		return c.json({ key: secret })
	})

	const bodyOf = (c: Context<App>, model: Model) => modelBody(c.var.env.PUBLIC_ORIGIN, model)
	at.get('/models', (c) => c.json(page(models.map((model) => bodyOf(c, model)))))
	at.on('QUERY', '/models', limitBody, async (c) => {
		// One client sends the words, the other a JSON string.
		const words = (await c.req.text()).replace(/^"(.*)"$/s, '$1')
		return c.json(page(modelsAbout(words).map((model) => bodyOf(c, model))))
	})
	at.get('/search', (c) => {
		const { query = '' } = c.req.query()
		const found = modelsAbout(query).map((model) => ({
			model: bodyOf(c, model),
			metadata: { tags: Object.keys(model.tasks) }
		}))
		return c.json({ query, models: found, collections: [], pages: [] })
	})
	at.get('/models/:owner/:name', (c) => c.json(bodyOf(c, findNamed(c.req.param('name')))))
	at.get('/models/:owner/:name/versions', (c) => c.json(page([versionBody(findNamed(c.req.param('name')))])))
	at.get('/models/:owner/:name/versions/:version', (c) => {
		const model = findNamed(c.req.param('name'))
		if (versionOf(model) !== c.req.param('version')) {
			throw new ProblemError({ code: 'not-found', detail: `${model.id} has no version ${c.req.param('version')}.` })
		}
		return c.json(versionBody(model))
	})
	at.get('/collections', (c) => c.json(page([])))
	at.get('/hardware', async (c) => {
		// Their CLI's `auth login` believes this answer.
		await expectValidKey(c)
		return c.json([{ name: 'GPU', sku: hardware }])
	})
	at.all('*', (c) => {
		throw notServed(`${c.req.method} ${c.req.path}`, 'predictions, models and their versions, deployments, files and the account')
	})
	app.route(base, at)
}

type Hooks = Pick<z.infer<typeof PredictionRequest>, 'webhook' | 'webhook_events_filter' | 'webhook_completed'>

function webhookOf({ webhook, webhook_events_filter: filter, webhook_completed: last }: Hooks): WebhookTarget | null {
	if (webhook && last && webhook !== last) {
		return refuse('/webhook_completed', 'the same URL as webhook, or none', describe(last))
	}
	const url = webhook || last
	const told = (filter ?? (webhook ? ['output', 'completed'] : ['completed'])).flatMap((name) => events[name] ?? [])
	return url && told.length > 0 ? { url, events: told, format: 'replicate' } : null
}

/** Limits under the names that Replicate's clients may read. */
function limitHeaders(headers: Headers): Record<string, string> {
	const limit = limitOf(headers)
	const retryAfter = headers.get('retry-after')
	return {
		...(limit && { 'ratelimit-remaining': String(limit.remaining), 'ratelimit-reset': String(limit.reset) }),
		...(retryAfter && { 'retry-after': retryAfter })
	}
}
