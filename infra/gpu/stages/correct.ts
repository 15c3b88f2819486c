import { execFileSync } from 'node:child_process'
import { worstMisses } from '../../../test/eval/misses.ts'
import { chooseProvider } from '../../../worker-gpu/onnx/provider.ts'
import type { Options } from '../main.ts'
import type { Line } from '../results.ts'

/** Says that this process is to compare, and tell what it found. */
const CHILD = 'DARKROOM_GPU_CORRECT'

/**
 * Everything that the golden files of pipelines hold, drawn here; float32 with the tensor cores' TF32 (ten bits), which the provider takes where the GPU has
 * it, and without. The CUDA libraries read that from the environment when they are loaded, so each way has a process of its own.
 */
export async function correct({ provider: choice, quick }: Options): Promise<Line[]> {
	const ways =
		choice === 'cpu'
			? [['float32', {}] as const]
			: ([
					['TF32', {}],
					['float32', { NVIDIA_TF32_OVERRIDE: '0' }]
				] as const)
	return ways.flatMap(([way, environment]) => {
		const given = ['--input-type=module', '-e', `import { compare } from ${JSON.stringify(import.meta.url)}; await compare()`]
		const answer = execFileSync(process.execPath, given, {
			env: { ...process.env, ...environment, [CHILD]: JSON.stringify({ choice, quick }) },
			encoding: 'utf8',
			maxBuffer: 2 ** 26,
			stdio: ['ignore', 'pipe', 'inherit']
		})
		const found = JSON.parse(answer.trim().split('\n').at(-1)!) as Line[]
		return found.map(([what, got, target]): Line => [`${what}, ${way}`, got, target])
	})
}

export async function compare(): Promise<void> {
	const { choice, quick } = JSON.parse(process.env[CHILD]!) as Pick<Options, 'quick'> & { choice: 'cpu' | 'cuda' }
	const worst = await worstMisses(await chooseProvider(choice), quick ? 2 : undefined)
	const lines = Array.from(worst, ([pipeline, bySampler]): Line => {
		const all = [...bySampler.values()]
		const most = (of: 'latent' | 'pixels') => Math.max(...all.map((each) => each[of])).toExponential(0)
		const [latent, pixels] = pipeline.startsWith('sd-fp16') ? [5e-3, 2e-2] : [1e-4, 1e-3]
		return [pipeline, `latent ${most('latent')}, pixels ${most('pixels')}`, `${latent}, ${pixels} (float32)`]
	})
	console.log(JSON.stringify(lines))
}
