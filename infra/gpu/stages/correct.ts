import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type GoldenModel, goldenModels, type Worst, worstMisses } from '../../../test/eval/misses.ts'
import { root } from '../../../test/root.ts'
import type { Options } from '../main.ts'
import { providerFor } from '../models.ts'
import { python } from '../python.ts'
import type { Line, Report } from '../results.ts'

/** Says that this process is to compare, and tell what it found. */
const CHILD = 'DARKROOM_GPU_CORRECT'

const DONE = 'done'

/** Drawings of each model: on CUDA, which plans for every new shape, all of them would take too long. */
const EACH = 2
/** What graphs/golden.py wrote. */
const HALVES = path.join(root, '.data/gpu/models/golden')

interface Way {
	readonly environment?: NodeJS.ProcessEnv
	readonly halves?: boolean
	/** Of the largest value: latents, pixels. */
	readonly within: readonly [number, number]
}

/**
 * What the golden files of pipelines hold, drawn here: in float32, without the tensor cores' TF32 (ten bits) and with it, as the provider takes it where the GPU has it; and in
 * half precision (ten bits too). Whether there is TF32 the CUDA libraries read from the environment when they are loaded, so each way has a process of its own; most of
 * their time is planning, on one core, so they run side by side.
 */
const ways: Readonly<Record<string, Way>> = {
	float32: { environment: { NVIDIA_TF32_OVERRIDE: '0' }, within: [1e-4, 1e-3] },
	TF32: { within: [5e-3, 2e-2] },
	// Small networks of random weights make every rounding count: PyTorch's Stable Diffusion 3 in half precision is up to 1.3e-2 off in these drawings, on a CPU.
	'half precision': { halves: true, within: [3e-2, 5e-2] }
}
/** Of models that are stored in half precision, as their golden files ask. */
const STORED: Way['within'] = [5e-3, 2e-2]

export async function correct({ provider: choice, quick }: Options, report: Report): Promise<void> {
	const chosen = Object.keys(ways).filter((way) => way !== 'TF32' || choice === 'cuda')
	await Promise.all([...chosen.map((way) => drawIn(way, { choice, quick }, report)), evaluate({ choice, quick }, report)])
}

/** U-Nets as wide as the fused operators are for, which no golden file is. */
async function evaluate({ choice, quick }: Pick<Asked, 'choice' | 'quick'>, report: Report): Promise<void> {
	for await (const line of python('fused.py', '--device', choice, ...(quick ? ['--tiny'] : []))) {
		const [what, got] = line.split(': ') as [string, string]
		await report(`an evaluation by ${what}, half precision`, got, '≤ 0.02')
	}
}

async function drawIn(way: string, given: Pick<Asked, 'choice' | 'quick'>, report: Report): Promise<void> {
	const { environment, halves } = ways[way]!
	if (halves && !existsSync(HALVES)) {
		return report(way, 'not here: graphs/golden.py writes it')
	}
	const program = ['--input-type=module', '-e', `import { compare } from ${JSON.stringify(import.meta.url)}; await compare()`]
	const child = execFile(process.execPath, program, {
		env: { ...process.env, ...environment, [CHILD]: JSON.stringify({ ...given, way } satisfies Asked) }
	})
	child.stderr!.pipe(process.stderr)
	const ended = once(child, 'exit')
	let done = false
	for await (const line of createInterface(child.stdout!)) {
		if (line === DONE) {
			done = true
			child.kill('SIGKILL') // An exit waits for whatever threads and libraries do at an end.
			break
		}
		const { what, got, target } = JSON.parse(line) as Line
		await report(`${what}, ${way}`, got, target)
	}
	const [code, signal] = await ended
	if (!done) {
		await report(way, `ended with ${signal ?? `exit code ${code}`}`)
	}
}

interface Asked extends Pick<Options, 'quick'> {
	readonly choice: Options['provider']
	readonly way: string
}

/** Where ten bits decide between two codes of a VQ decoder that are nearly as near, pixels say nothing. */
const isBound = ({ golden, name }: GoldenModel, [latent]: Way['within']) =>
	latent < 1e-3 || !('vqvae_decoder' in golden.models[name]!.parts)

export async function compare(): Promise<void> {
	const { choice, quick, way } = JSON.parse(process.env[CHILD]!) as Asked
	const { halves, within } = ways[way]!
	const provider = await providerFor(choice)
	const placeOf = (part: string) => (halves && existsSync(path.join(HALVES, part)) ? path.join(HALVES, part) : part)
	const tell = (what: string, got: string, target = '') => console.log(JSON.stringify({ what, got, target } satisfies Line))
	for (const model of goldenModels) {
		try {
			for (const [what, bySampler] of await worstMisses(model, { provider, each: quick ? 1 : EACH, placeOf })) {
				const most = (of: keyof Worst) => Math.max(...Array.from(bySampler.values(), (each) => each[of])).toExponential(0)
				const bounds = model.name.endsWith('-fp16') ? STORED : within
				const shown = isBound(model, bounds) ? bounds : bounds.slice(0, 1)
				tell(what, `latent ${most('latent')}, pixels ${most('pixels')}`, `≤ ${shown.join(', ')}`)
			}
		} catch (error) {
			console.error(error)
			tell(model.name, `failed: ${(error as Error).message.split('\n')[0]}`)
		}
	}
	console.log(DONE)
}
