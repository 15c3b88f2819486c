import { type Stack, startStack } from '../stack.ts'
import { median } from './statistics.ts'

/** 25 steps with guidance, from the request to a signed URL. */
export async function pictures(): Promise<void> {
	const stack = await startStack()
	await together(stack, 8) // Warms up.
	const rounds = async (n: number, times: number) => {
		const seconds: number[] = []
		for (let i = 0; i < times; i++) {
			seconds.push((await together(stack, n)) / n)
		}
		return median(seconds)
	}
	console.log(`  one alone                    ${(await rounds(1, 9)).toFixed(2)} s  (target 1)`)
	console.log(`  eight at once, each          ${(await rounds(8, 5)).toFixed(2)} s  (target 0.35)`)
	await stack.close()
}

/** Seconds until `n` requests, posted at once, have all been answered. */
async function together(stack: Stack, n: number): Promise<number> {
	const began = performance.now()
	await Promise.all(
		Array.from({ length: n }, (_, seed) =>
			stack.submit(
				{ model: 'scenes', prompt: 'a large shiny red sphere on a grey floor', steps: 25, guidance: 3, seed },
				{ prefer: 'wait=60' }
			)
		)
	)
	return (performance.now() - began) / 1000
}
