import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { models } from '../shared/catalog.ts'
import { QueueUrl } from '../shared/queue-url.ts'
import { shippedModels } from './engine/client.ts'

const known = models.map(({ id }) => id)

/** A user that a container was given by number alone has none, and Node.js throws. */
function home(): string {
	try {
		return homedir()
	} catch {
		return tmpdir()
	}
}

const Environment = z.object({
	QUEUE_URL: QueueUrl,
	EDGE_ORIGINS: z
		.string()
		.transform((list) => list.split(',').map((url) => url.trim()))
		.pipe(z.array(z.url({ protocol: /^https?$/, error: 'expected http(s) URLs' }).transform((url) => new URL(url).origin)))
		.optional(),
	DARKROOM_PROVIDER: z.enum(['auto', 'cpu', 'cuda'], 'expected auto, cpu or cuda').default('auto'),
	DARKROOM_MODELS: z
		.string()
		.transform((list) => list.split(',').map((id) => id.trim()))
		.pipe(z.array(z.enum(known, `expected models of the catalog (${known.join(', ')})`)).min(1))
		// What is named is loaded at the start; of the whole catalog the first alone.
		.transform((models) => ({ models, loaded: models }))
		.default({ models: known, loaded: known.slice(0, 1) }),
	MODELS_DIR: z
		.string()
		.default(shippedModels)
		.transform((folder) => path.resolve(folder)),
	CACHE_DIR: z
		.string()
		.default(() => path.join(home(), '.cache/darkroom'))
		.transform((folder) => path.resolve(folder)),
	BATCH_LIMITS: z.enum(['measured', 'guessed'], 'expected measured or guessed').default('measured'),
	DRAIN_SECONDS: z.coerce.number('expected a number from 0 to 3600').min(0).max(3600).default(20),
	METRICS_PORT: z.coerce.number('expected a port').int().min(1).max(65_535).optional(),
	METRICS_HOST: z.string().default('127.0.0.1'),
	C2PA_CERTIFICATE: z.string().default(''),
	C2PA_PRIVATE_KEY: z.string().default('')
})
export type Environment = z.infer<typeof Environment>

export const usage = `node worker-gpu/main.ts

Takes generations from the queue, develops their pictures and delivers them to the edge. Configured by environment variables:
  QUEUE_URL          postgres://, redis:// or rediss:// (required)
  EDGE_ORIGINS       comma-separated URLs of the edges whose jobs are taken, others being thrown away; default any
  DARKROOM_PROVIDER  auto (CUDA where its libraries load, else the CPU), cpu or cuda; default auto
  DARKROOM_MODELS    comma-separated ids of the models to serve, which are loaded at the start; default all of the catalog
                     (${known.join(', ')}), of which all but the first are loaded when first asked for
  MODELS_DIR         holds a folder for each model; default ${path.relative(process.cwd(), shippedModels) || '.'}
  CACHE_DIR          keeps the measured batch limits; default ~/.cache/darkroom
  BATCH_LIMITS       measured (when there is nothing to draw, which occupies the processor for a while for each new size) or guessed
                     (for machines that others need too); default measured
  DRAIN_SECONDS      in which work has to end after SIGTERM; what is left is handed to other nodes; default 20
  METRICS_PORT       serves /metrics (Prometheus) and /healthz; off by default
  METRICS_HOST       where that listens; default 127.0.0.1, this machine alone
  C2PA_CERTIFICATE   signs pictures (C2PA): a certificate and its chain in PEM, its own first
  C2PA_PRIVATE_KEY   that certificate's, in PEM`

class EnvironmentError extends Error {
	override name = 'EnvironmentError'
}

/** Reads the environment once; throws one line that names every variable that is wrong, and what it is, but for the queue's, which holds a password. */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
	const parsed = Environment.safeParse(env)
	if (!parsed.success) {
		const told = parsed.error.issues.map(({ path: [variable, at], message }) => {
			const name = String(variable)
			const got = typeof at === 'number' ? env[name]?.split(',')[at]?.trim() : env[name]
			return `${name}: ${message}${name === 'QUEUE_URL' ? '' : `, got ${got || 'nothing'}`}`
		})
		throw new EnvironmentError(told.join('; '))
	}
	return parsed.data
}
