import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type Model, models } from '../../../shared/catalog.ts'
import type { App } from '../../app.ts'
import { limitInputs, readJson } from '../../body.ts'
import { ProblemError } from '../../errors.ts'
import { withoutFlood } from '../../flood.ts'
import { respondEvents } from '../../sse.ts'
import { failureOf, notServed, problemOf } from '../failure.ts'
import { limitOf } from '../limits.ts'
import { expectValidKey, Native, withClientKey } from '../native.ts'
import { respondError } from './errors.ts'
import { addFiles } from './files.ts'
import { readEdit } from './form.ts'
import { modelMeant, readImagesRequest } from './request.ts'
import { respondImages } from './response.ts'
import { imageEvents } from './stream.ts'

/** Under the name that was asked for; `root` tells which it is, as servers of other models have it (vLLM). */
const modelOf = ({ id: root }: Model, id = root) => ({ id, object: 'model', created: 0, owned_by: 'darkroom', root })

/**
 * Where their own clients look, and those for Azure, who name the model, which they call a deployment, in the path (openai-node src/azure.ts);
 * some programs add `/v1` to whatever address they have.
 */
const bases = ['/openai/v1', '/openai/deployments/:deployment/v1', '/openai/deployments/:deployment', '/openai']

/** OpenAI's Images API, as its clients speak it (openai-node src/resources/images.ts). */
export const openai = (app: OpenAPIHono<App>) => {
	const at = new OpenAPIHono<App>()
	at.onError(async (error, c) => {
		const { problem, headers } = await problemOf(error, c)
		return withLimits(respondError(c, problem), headers)
	})
	at.use(withoutFlood)

	const images = async (c: Context<App>, body: unknown, kind: 'image_generation' | 'image_edit') => {
		const { order, wanted } = readImagesRequest(body, c.req.param('deployment'))
		const native = new Native(app, c)
		const accepted = await native.order(order, wanted.isStream ? undefined : 60)
		const { headers } = native
		if (wanted.isStream) {
			return withLimits(respondEvents(imageEvents(c, native, accepted, wanted, kind)), headers)
		}
		const generation = await native.ended(accepted)
		if (generation.status !== 'succeeded') {
			// The same order would end the same way, and a repeated call would be another order.
			return withLimits(respondError(c, failureOf(generation), { isFinal: true }), headers)
		}
		return withLimits(await respondImages(c.var.env, generation, wanted), headers)
	}
	at.post('/images/generations', withClientKey, limitInputs, async (c) => images(c, await readJson(c), 'image_generation'))
	at.post('/images/edits', withClientKey, limitInputs, async (c) => images(c, await readEdit(c), 'image_edit'))
	at.post('/images/variations', withClientKey, limitInputs, async (c) =>
		images(c, { prompt: '', ...(await readEdit(c)) }, 'image_edit')
	)

	at.get('/models', async (c) => {
		await expectValidKey(c)
		return c.json({ object: 'list', data: models.map((model) => modelOf(model)) })
	})
	at.get('/models/:id', async (c) => {
		await expectValidKey(c)
		const name = c.req.param('id')
		const model = modelMeant(name)
		if (!model) {
			throw new ProblemError({ code: 'not-found', detail: `There is no model ${name}.` })
		}
		return c.json(modelOf(model, name))
	})
	addFiles(at)
	at.all('*', (c) => {
		throw notServed(
			`${c.req.method} ${c.req.path}`,
			'POST images/generations, images/edits and images/variations, files and models'
		)
	})
	for (const base of bases) {
		app.route(base, at)
	}
}

/** Limits under the names that OpenAI's clients know. */
function withLimits(answer: Response, headers: Headers): Response {
	const limit = limitOf(headers)
	if (limit) {
		answer.headers.set('x-ratelimit-limit-requests', String(limit.limit))
		answer.headers.set('x-ratelimit-remaining-requests', String(limit.remaining))
		answer.headers.set('x-ratelimit-reset-requests', `${limit.reset}s`)
	}
	const retryAfter = headers.get('retry-after')
	if (retryAfter) {
		answer.headers.set('retry-after', retryAfter)
	}
	return answer
}
