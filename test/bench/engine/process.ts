import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ResolvedRequest } from '../../../shared/contract/generation.ts'
import { startEngine } from '../../../worker-gpu/engine/client.ts'
import type { Engine } from '../../../worker-gpu/engine/engine.ts'
import { uniform } from '../../uniform.ts'

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

/** Of what was killed so often: whether each picture came once and as if nothing had been, and the oldest copy that a row had to go on from. */
interface Killed {
	readonly killed: number
	readonly same: boolean
	readonly once: boolean
	readonly oldestMs: number
}

/** Kills the engine's process at random moments while it draws; but not before it got further, or it would take the pictures for the cause. */
export async function kills(times: number): Promise<Killed> {
	const engine = await startEngine({ models: ['scenes'], provider: 'cpu' })
	try {
		const asked = Array.from({ length: 8 }, (_, seed) => ({ ...request, seed, steps: 30 + 5 * seed }))
		const uninterrupted = await Promise.all(asked.map((one) => digest(engine, one).then(({ sha }) => sha)))
		const draw = uniform(11)
		let killed = 0
		let same = true
		let once = true
		let oldestMs = 0
		while (killed < times) {
			/** When each was last heard of, until it is done; and whose evaluations have become more since the last kill. */
			const heard = new Map<ResolvedRequest, number>()
			const further = new Set<ResolvedRequest>()
			let over = false
			const finished = Promise.all(
				asked.map(async (one) => {
					let most = 0
					const found = await digest(engine, one, (done) => {
						heard.set(one, performance.now())
						if (done > most) {
							further.add(one)
						}
						most = Math.max(most, done)
					})
					heard.delete(one)
					return found
				})
			).finally(() => {
				over = true
			})
			while (!over && killed < times) {
				await Promise.race([finished, sleep(draw() * 1000)])
				if (!over && engine.healthy && heard.size > 0 && [...heard.keys()].every((one) => further.has(one))) {
					oldestMs = Math.max(oldestMs, performance.now() - Math.min(...heard.values()))
					process.kill(engine.pid!, 'SIGKILL')
					killed += 1
					further.clear()
				}
			}
			const results = await finished
			same &&= results.every(({ sha }, i) => sha === uninterrupted[i])
			once &&= results.every(({ pictures }) => pictures === 1)
		}
		return { killed, same, once, oldestMs }
	} finally {
		await engine.close()
	}
}

async function digest(
	engine: Engine,
	one: ResolvedRequest,
	heard: (done: number) => void = () => {}
): Promise<{ sha: string; pictures: number }> {
	let pictures = 0
	const developed = await engine.develop(one, {
		onProgress: ({ done }) => heard(done),
		onPicture() {
			pictures += 1
		}
	})
	return { sha: createHash('sha256').update(developed.pictures[0]!.pixels).digest('hex'), pictures }
}
