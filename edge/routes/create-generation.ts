import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Generation, ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { GenerationOrder } from '../../shared/contract/order.ts'
import { Amount } from '../../shared/pricing.ts'
import type { Accepted } from '../account/account.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { App } from '../app.ts'
import { type WithKey, withKey } from '../bearer.ts'
import { limitInputs, readJson } from '../body.ts'
import { type Answer, unwrap } from '../errors.ts'
import { narrow, resolveOrder } from '../inputs/resolve.ts'
import { quotaHeaders } from '../quotas.ts'
import { hold } from '../viewer/hold.ts'
import { idempotencyHeader, repeatOf, replayed } from './idempotency.ts'
import { applied, preferHeader, waitOf } from './prefer.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

/** What an order would cost, in micro-units, and what the account has. */
const DryRun = z.strictObject({
	request: ResolvedRequest,
	cost: z.strictObject({ picture: Amount, total: Amount }),
	available: Amount,
	warnings: z.array(Warning)
})

const route = createRoute({
	method: 'post',
	path: '/v1/generations',
	summary: 'Ask for pictures',
	middleware: [withKey, limitInputs] as const,
	parameters: [preferHeader, idempotencyHeader],
	request: {
		query: z.object({
			dry_run: z
				.stringbool()
				.optional()
				.openapi({ type: 'boolean', description: 'Tells what the order would cost; nothing is ordered.' })
		}),
		body: { required: true, content: { 'application/json': { schema: GenerationOrder } } }
	},
	responses: {
		200: json(z.union([Generation, DryRun]), 'It ended while the request was held; or it was a dry run'),
		202: json(Generation, 'It was accepted, and will be developed'),
		400: problem('malformed-json, malformed-header'),
		401: problem('unauthorized'),
		402: problem('insufficient-credit'),
		403: problem('forbidden'),
		413: problem('payload-too-large'),
		415: problem('unsupported-media-type'),
		422: problem('invalid-request, unknown-model, idempotency-key-reused'),
		429: problem('rate-limited, too-many-in-flight, spend-limit')
	}
})

export const createGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(
		route,
		async (c) => {
			const { env, key } = c.var
			const account = env.ACCOUNT.getByName(key.account)
			const body: unknown = await readJson(c)
			const dry = c.req.valid('query').dry_run
			const repeat = dry ? undefined : repeatOf(c, key, body)
			// Before any input is fetched again, which may be gone by now.
			const before = repeat && (unwrap(await account.repeated(key.hash, repeat)) as Snapshot | undefined)
			if (before) {
				return answerWith(c, { ...before, quotas: [], repeated: true })
			}
			const { order, warnings } = await resolveOrder(env, key, body)
			if (dry) {
				const { available, ...cost } = unwrap(await account.quote(key.hash, order))
				return c.json({ request: order.request, cost, available, warnings }, 200)
			}
			return answerWith(c, unwrap((await account.submit(key.hash, order, warnings, repeat)) as Answer<Accepted>))
		},
		(result, c) => (result.success ? undefined : refuse(c))
	)

/** At once, or as the client prefers to wait. */
async function answerWith(c: Context<WithKey>, { quotas, repeated, ...accepted }: Accepted) {
	const { env, key } = c.var
	const headers = { location: `/v1/generations/${accepted.id}`, ...quotaHeaders(quotas), ...(repeated && replayed) }
	const wait = waitOf(c.req.header('prefer'))
	if (wait === undefined) {
		return c.json(await present(env, accepted), accepted.completed_at ? 200 : 202, headers)
	}
	const latest = await hold(env, key, accepted, wait)
	return c.json(await present(env, latest), latest.completed_at ? 200 : 202, { ...headers, ...applied(wait) })
}

/** The contract did not hold: tell what else is wrong by the limits of the model. */
async function refuse(c: Context): Promise<never> {
	narrow(await readJson(c))
	throw new Error('A body that is no GenerationOrder cannot satisfy a model')
}
