import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ResolvedRequest } from '../../../shared/contract/generation.ts'
import { type Engine, startEngine } from '../../../worker-gpu/engine/client.ts'
import { uniform } from './model.ts'

const request: ResolvedRequest = {
	model: 'scenes',
	prompt: 'a large shiny red sphere on a grey floor',
	negative_prompt: '',
	width: 128,
	height: 128,
	steps: 50,
	guidance: 3,
	seed: 0,
	count: 1
}

/** Pictures after which every shape has been drawn often enough. */
const warmUp = 300

/** Resident memory of the engine's process while it draws pictures of mixed shapes, over what it was when it was warm. */
export async function memory(pictures: number): Promise<number> {
	const sizes = [64, 96, 128, 160]
	const draw = uniform(3)
	const seen: number[] = []
	const engine = await startEngine({ models: ['scenes'], provider: 'cpu', onStats: ({ memory }) => seen.push(memory) })
	try {
		let after = 0
		for (let done = 0; done < pictures; done += 8) {
			if (done >= warmUp) {
				after ||= seen.length
			}
			await Promise.all(
				Array.from({ length: 8 }, (_, i) => {
					const side = () => sizes[Math.floor(draw() * sizes.length)]!
					return engine.develop({ ...request, width: side(), height: side(), steps: 1, guidance: i % 2 ? 3 : 1, seed: done + i })
				})
			)
		}
		const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
		// Three seconds of each: the end, over what came right after the warm-up.
		return mean(seen.slice(-3)) / mean(seen.slice(after, after + 3))
	} finally {
		await engine.close()
	}
}

/** Kills the engine's process at random moments while it draws. */
export async function kills(times: number): Promise<{ killed: number; same: boolean; once: boolean; repeated: number }> {
	let evaluations = 0
	const engine = await startEngine({
		models: ['scenes'],
		provider: 'cpu',
		onStats: ({ ticks }) => {
			evaluations += ticks.reduce((sum, { size }) => sum + size, 0)
		}
	})
	try {
		const asked = Array.from({ length: 8 }, (_, seed) => ({ ...request, seed, steps: 30 + 5 * seed }))
		const uninterrupted = await Promise.all(asked.map((one) => digest(engine, one).then(({ sha }) => sha)))
		const draw = uniform(11)
		let killed = 0
		let same = true
		let once = true
		evaluations = 0
		let needed = 0
		while (killed < times) {
			const working = Promise.all(asked.map((one) => digest(engine, one)))
			let over = false
			const finished = working.finally(() => {
				over = true
			})
			while (!over && killed < times) {
				await Promise.race([finished, sleep(700 + draw() * 1500)])
				if (!over && engine.healthy) {
					process.kill(engine.pid!, 'SIGKILL')
					killed += 1
				}
			}
			const results = await finished
			needed += asked.reduce((sum, { steps }) => sum + 2 * steps, 0)
			same &&= results.every(({ sha }, i) => sha === uninterrupted[i])
			once &&= results.every(({ pictures }) => pictures === 1)
		}
		await sleep(1_100) // The last second's count.
		return { killed, same, once, repeated: (evaluations - needed) / killed }
	} finally {
		await engine.close()
	}
}

async function digest(engine: Engine, one: ResolvedRequest): Promise<{ sha: string; pictures: number }> {
	let pictures = 0
	const developed = await engine.develop(one, {
		onPicture() {
			pictures += 1
		}
	})
	return { sha: createHash('sha256').update(developed.pictures[0]!.pixels).digest('hex'), pictures }
}
