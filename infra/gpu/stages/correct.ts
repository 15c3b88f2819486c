import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { worstMisses } from '../../../test/eval/misses.ts'
import type { Options } from '../main.ts'
import { providerFor } from '../models.ts'
import type { Line, Report } from '../results.ts'

/** Says that this process is to compare, and tell what it found. */
const CHILD = 'DARKROOM_GPU_CORRECT'

/** Drawings of each model: on CUDA, which plans for every new shape, all 384 would take too long. */
const EACH = 4

/**
 * What the golden files of pipelines hold, drawn here; float32 with the tensor cores' TF32 (ten bits), which the provider takes where the GPU has
 * it, and without. The CUDA libraries read that from the environment when they are loaded, so each way has a process of its own.
 */
export async function correct({ provider: choice, quick }: Options, report: Report): Promise<void> {
	const ways =
		choice === 'cpu'
			? [['float32', {}] as const]
			: ([
					['TF32', {}],
					['float32', { NVIDIA_TF32_OVERRIDE: '0' }]
				] as const)
	for (const [way, environment] of ways) {
		const given = ['--input-type=module', '-e', `import { compare } from ${JSON.stringify(import.meta.url)}; await compare()`]
		const child = execFile(process.execPath, given, {
			env: { ...process.env, ...environment, [CHILD]: JSON.stringify({ choice, quick }) }
		})
		child.stderr!.pipe(process.stderr)
		const ended = once(child, 'exit')
		for await (const line of createInterface(child.stdout!)) {
			const { what, got, target } = JSON.parse(line) as Line
			await report(`${what}, ${way}`, got, target)
		}
		const [code, signal] = await ended
		if (code !== 0) {
			throw new Error(`the drawings in ${way} ended with ${signal ?? `exit code ${code}`}`)
		}
	}
}

export async function compare(): Promise<void> {
	const { choice, quick } = JSON.parse(process.env[CHILD]!) as Pick<Options, 'quick'> & { choice: 'cpu' | 'cuda' }
	const worst = await worstMisses(await providerFor(choice), quick ? 1 : EACH)
	for (const [what, bySampler] of worst) {
		const all = [...bySampler.values()]
		const most = (of: 'latent' | 'pixels') => Math.max(...all.map((each) => each[of])).toExponential(0)
		const [latent, pixels] = what.startsWith('sd-fp16') ? [5e-3, 2e-2] : [1e-4, 1e-3]
		const line: Line = {
			what,
			got: `latent ${most('latent')}, pixels ${most('pixels')}`,
			target: `≤ ${latent}, ${pixels} (float32)`
		}
		console.log(JSON.stringify(line))
	}
}
