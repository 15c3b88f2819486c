import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { models } from '../../shared/catalog.ts'
import { Generation, ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { GenerationOrder } from '../../shared/contract/order.ts'
import { Amount } from '../../shared/pricing.ts'
import type { Accepted } from '../account/account.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { App } from '../app.ts'
import { type WithKey, withKey } from '../bearer.ts'
import { asJson, limitInputs, readJson } from '../body.ts'
import { type Answer, unwrap } from '../errors.ts'
import { resolveOrder } from '../inputs/resolve.ts'
import { parse } from '../issues.ts'
import { type Json, pack, unpack } from '../json.ts'
import { promptly } from '../promptly.ts'
import { queryOf } from '../query.ts'
import { quotaHeaders } from '../quotas.ts'
import { hold, noteAnswered } from '../viewer/hold.ts'
import { idempotencyHeader, repeatOf, replayed } from './idempotency.ts'
import { applied, preferHeader, waitOf } from './prefer.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

/** What an order would cost, in micro-units, and what the account has. Inputs are looked at and not stored, so `request` has none. */
export const DryRun = z.strictObject({
	request: ResolvedRequest.omit({ image: true, mask: true, semantic_map: true, control_image: true }),
	cost: z.strictObject({ picture: Amount, total: Amount }),
	available: Amount,
	warnings: z.array(Warning)
})

const Query = z.strictObject({
	dry_run: z
		.stringbool()
		.optional()
		.openapi({ type: 'boolean', description: 'Tells what the order would cost; nothing is ordered.' })
})

const [first] = models
/** What a newcomer may send as it stands. */
const example = { model: first?.id, ...first?.examples?.[0]?.request }

const route = createRoute({
	method: 'post',
	path: '/v1/generations',
	summary: 'Ask for pictures',
	parameters: [preferHeader, idempotencyHeader],
	request: {
		query: Query,
		body: { required: true, content: { 'application/json': { schema: GenerationOrder, example } } }
	},
	responses: {
		200: json(z.union([Generation, DryRun]), 'It ended while the request was held; or it was a dry run'),
		202: json(Generation, 'It was accepted, and will be developed'),
		400: problem('malformed-json, malformed-header'),
		401: problem('unauthorized'),
		402: problem('insufficient-credit'),
		404: problem('not-found: this order was sent before, and its generation has been deleted'),
		422: problem('invalid-request, unknown-model, idempotency-key-reused'),
		429: problem('rate-limited, too-many-in-flight, spend-limit'),
		503: problem('busy, unavailable')
	}
})

/** By this route everything comes, so it is documented alone: validators would read the body once more than `resolveOrder`, which reads it all. */
export const createGeneration = (app: OpenAPIHono<App>) => {
	app.openAPIRegistry.registerPath(route)
	app.post(route.path, withKey, limitInputs, asJson, async (c) => {
		const env = c.get('env')
		const key = c.get('key')
		const account = () => env.ACCOUNT.getByName(key.account)
		// Most requests have none, and need none parsed.
		const { dry_run: dry } = c.req.url.includes('?') ? parse(Query, queryOf(c)) : {}
		const body: unknown = await readJson(c)
		const repeat = dry ? undefined : repeatOf(c, key, body)
		// Before any input is fetched again, which may be gone by now.
		const before = repeat && (unwrap(await promptly(account().repeated(key.hash, repeat))) as Snapshot | undefined)
		if (before) {
			return answerWith(c, { ...before, quotas: [], repeated: true })
		}
		const { order, warnings } = await resolveOrder(env, key, body, { isKept: !dry, release: () => c.var.body?.release() })
		if (dry) {
			const { available, ...cost } = unwrap(await account().quote(key.hash, order))
			const { image, mask, semantic_map, control_image, ...request } = order.request
			return c.json({ request, cost, available, warnings } satisfies z.input<typeof DryRun>, 200)
		}
		const answered: Json<Answer<Accepted>> = await promptly(account().submit(key.hash, pack({ order, warnings, repeat })))
		return answerWith(c, unwrap(unpack(answered)))
	})
}

/** At once, or as the client prefers to wait. */
async function answerWith(c: Context<WithKey>, { quotas, repeated, ...accepted }: Accepted) {
	const env = c.get('env')
	const key = c.get('key')
	c.get('body')?.release()
	const headers = { location: `/v1/generations/${accepted.id}`, ...quotaHeaders(quotas), ...(repeated && replayed) }
	const wait = waitOf(c.req.header('prefer'))
	const latest = wait === undefined ? accepted : await hold(env, key, accepted, wait)
	if (latest.completed_at) {
		await noteAnswered(env, key, latest.id)
	}
	return c.json(await present(env, latest), latest.completed_at ? 200 : 202, {
		...headers,
		...(wait !== undefined && applied(wait))
	})
}
