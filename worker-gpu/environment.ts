import path from 'node:path'
import { z } from 'zod'
import { models } from '../shared/catalog.ts'
import { shippedModels } from './engine/client.ts'

const known = models.map(({ id }) => id)

const Environment = z.object({
	QUEUE_URL: z.url({ protocol: /^(postgres(ql)?|rediss?)$/, error: 'expected postgres://, redis:// or rediss://' }),
	DARKROOM_PROVIDER: z.enum(['auto', 'cpu', 'cuda']).default('auto'),
	DARKROOM_MODELS: z
		.string()
		.default(known.join(','))
		.transform((list) => list.split(',').map((id) => id.trim()))
		.pipe(
			z
				.array(z.enum(known, { error: ({ input }) => `expected models of the catalog (${known.join(', ')}), got ${input}` }))
				.min(1)
		),
	MODELS_DIR: z
		.string()
		.default(shippedModels)
		.transform((folder) => path.resolve(folder))
})
export type Environment = z.infer<typeof Environment>

export const usage = `node worker-gpu/main.ts

Takes generations from the queue, develops their pictures and delivers them to the edge. Configured by environment variables:
  QUEUE_URL          postgres://, redis:// or rediss:// (required)
  DARKROOM_PROVIDER  auto (CUDA where its libraries load, else the CPU), cpu or cuda; default auto
  DARKROOM_MODELS    comma-separated ids of the models to serve; default ${known.join(',')}
  MODELS_DIR         holds a folder for each model; default ${path.relative(process.cwd(), shippedModels) || '.'}`

export class EnvironmentError extends Error {
	override name = 'EnvironmentError'
}

/** Reads the environment once; throws one line that names every variable that is wrong. */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
	const parsed = Environment.safeParse(env)
	if (!parsed.success) {
		throw new EnvironmentError(parsed.error.issues.map(({ path: [name], message }) => `${String(name)}: ${message}`).join('; '))
	}
	return parsed.data
}
