import { z } from 'zod'
import { QueueUrl } from '../shared/queue-url.ts'
import type { Account } from './account/account.ts'
import type { Dispatcher } from './dispatcher/dispatcher.ts'
import type { Viewer } from './viewer/viewer.ts'

const binding = <T>() => z.custom<T>((value) => value !== undefined && value !== null, 'is not bound')
const withoutSlash = (url: string) => url.replace(/\/+$/, '')
const HttpUrl = z.url({ protocol: /^https?$/ }).transform(withoutSlash)

/** Everything that wrangler.toml describes. */
const Environment = z
	.object({
		ACCOUNT: binding<DurableObjectNamespace<Account>>(),
		DISPATCHER: binding<DurableObjectNamespace<Dispatcher>>(),
		VIEWER: binding<DurableObjectNamespace<Viewer>>(),
		BUCKET: binding<R2Bucket>(),
		FLOOD: binding<RateLimit>(),
		PUBLIC_ORIGIN: HttpUrl,
		S3_ENDPOINT: HttpUrl,
		S3_BUCKET: z.string().min(3).max(63),
		S3_ACCESS_KEY_ID: z.string().min(1),
		S3_SECRET_ACCESS_KEY: z.string().min(1),
		DARKROOM_SECRET: z.string().min(32),
		/** As a header has it after `Bearer`: with any other letter it would never match. */
		ADMIN_TOKEN: z
			.string()
			.min(16)
			.regex(/^[\w.~+/=-]+$/, 'letters, digits and .~+/=_- alone'),
		/** In development, URLs that customers give may be http and this machine's own. */
		ALLOW_LOCAL_URLS: z.boolean().default(false),
		/** Where charged pictures are metered: Stripe Billing, and any receiver of CloudEvents. */
		STRIPE_API_KEY: z.string().min(1).optional(),
		STRIPE_METER_EVENT: z.string().min(1).max(100).default('darkroom_pictures'),
		STRIPE_API_URL: HttpUrl.optional(),
		METER_SINK_URL: z.url({ protocol: /^https?$/ }).optional(),
		METER_SINK_TOKEN: z.string().min(1).optional(),
		QUEUE_URL: QueueUrl.optional(),
		HYPERDRIVE: binding<Hyperdrive>().optional()
	})
	.refine((env) => env.QUEUE_URL || env.HYPERDRIVE, { path: ['QUEUE_URL'], message: 'is missing, and HYPERDRIVE is not bound' })
export type Env = z.infer<typeof Environment>

const parsed = new WeakMap<object, Env>()

/** The bindings, parsed at each door: the fetch handler and the constructors of the Durable Objects. */
export function parseEnv(raw: object): Env {
	let env = parsed.get(raw)
	if (!env) {
		const result = Environment.safeParse(raw)
		if (!result.success) {
			// Names and rules only: values may be secrets.
			const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
			throw new Error(`Misconfigured: ${faults.join('; ')}`)
		}
		env = result.data
		parsed.set(raw, env)
	}
	return env
}
