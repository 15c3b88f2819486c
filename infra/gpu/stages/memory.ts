import { execFileSync } from 'node:child_process'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import { batcherFor } from '../drawing.ts'
import type { Options } from '../main.ts'
import { loadModel, providerFor } from '../models.ts'
import type { Report } from '../results.ts'

/** Pixels. */
const sizes = [
	[256, 256],
	[320, 256],
	[192, 192]
] as const
/** How often pictures of another shape come. */
const VISITS = 6
const AT_ONCE = 10

/** What is held after 2,000 pictures of mixed shapes, over what was held once every shape had been drawn. */
export async function memory({ provider: choice, quick, seconds }: Options, report: Report): Promise<void> {
	const provider = await providerFor(choice)
	const { plan } = await loadModel('ldm-8-class', provider, quick ? 'tiny' : 'real')
	const batcher = batcherFor(provider, measuredLimits({ guessPositions: Number.POSITIVE_INFINITY, measure: false }))
	const rounds = quick ? 12 : 200
	const warm = rounds / 2 // Each shape once.
	const ends = performance.now() + (seconds - 20) * 1000
	let drawn = 0
	let [gpu, rss] = [0, 0]
	for (let round = 0; round < rounds && performance.now() < ends; round++) {
		if (round === warm) {
			;[gpu, rss] = [gpuMegabytes(), process.memoryUsage.rss()]
		}
		// A change of shape takes seconds of planning.
		const [width, height] = sizes[Math.floor((round * VISITS) / rounds) % sizes.length]!
		await batcher.develop({
			prepare: () => plan({ steps: 1 + (round % 3), ...(quick ? {} : { width, height }) }),
			pictures: Array.from({ length: AT_ONCE }, (_, n) => ({ n, seed: round })),
			signal: new AbortController().signal,
			onProgress() {},
			onPicture() {
				drawn += 1
			}
		})
	}
	await batcher.halt()
	const after = `after ${drawn} pictures over after ${warm * AT_ONCE}`
	await report(`GPU memory ${after}`, provider.name === 'cuda' ? (gpuMegabytes() / gpu).toFixed(3) : 'no GPU', '≤ 1.01')
	await report(`resident memory ${after}`, (process.memoryUsage.rss() / rss).toFixed(3), '≤ 1.05')
}

const gpuMegabytes = (): number => {
	try {
		return Number(execFileSync('nvidia-smi', ['--query-gpu=memory.used', '--format=csv,noheader,nounits'], { encoding: 'utf8' }))
	} catch {
		return Number.NaN
	}
}
