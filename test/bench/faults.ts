import { setTimeout as sleep } from 'node:timers/promises'
import { digests, doneOf, nodeOf, timesDrawn } from '../at-work.ts'
import { type Stack, startStack } from '../stack.ts'
import { uniform } from '../uniform.ts'

/** Eight pictures, for some twenty seconds: several checkpoints. */
const request = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, count: 8 }
const evaluations = request.steps * request.count
/** Milliseconds at work after which there is a checkpoint. */
const firstCheckpoint = 6_000
/** Of one generation; what gets on is never given up, but takes longer the more are killed. */
const mostKills = 4

/**
 * Kills the node at random moments while it draws. Every picture must come once and be what it is without that, and what was done since the last
 * checkpoint (taken every 4 s) is all that is done again. Takes half a minute a kill: the edge waits for 15 s before it gives the work to another.
 */
export async function faults({ quick }: { quick: boolean }): Promise<void> {
	const asked = quick ? 3 : 10
	const draw = uniform(13)
	const stack = await startStack()
	try {
		const began = performance.now()
		const uninterrupted = await digests(await stack.finished((await stack.submit({ ...request, seed: 5 })).id))
		const each = (performance.now() - began) / evaluations
		let [killed, again] = [0, 0]
		let [same, once] = [true, true]
		while (killed < asked) {
			const { id } = await stack.submit({ ...request, seed: 5 })
			for (let kills = 0; kills < mostKills && killed < asked; kills++) {
				const repeated = await kill(stack, id, (kills === 0 ? firstCheckpoint : 1_000) + 7_000 * draw())
				if (repeated === undefined) {
					break // It was done meanwhile.
				}
				again = Math.max(again, repeated * each)
				killed += 1
			}
			const finished = await stack.finished(id)
			same &&= (await digests(finished)).join() === uninterrupted.join()
			once &&= finished.images.length === request.count && (await timesDrawn(stack, id)) === 1
		}
		console.log(`  node killed ${killed} times while it draws: ${same && once ? 'each picture once, the same' : 'NOT the same'}`)
		console.log(`  work done again after a kill, at most ${(again / 1000).toFixed(1)} s (target: 5)`)
	} finally {
		await stack.close()
	}
}

/**
 * Kills the node so many milliseconds after it has begun to work, or gone on. Gives the evaluations that the edge had been told of and the next
 * node does again; undefined where the generation has ended.
 */
async function kill(stack: Stack, id: string, wait: number): Promise<number | undefined> {
	while ((await doneOf(stack, id)) === 0) {
		await sleep(100)
	}
	await sleep(wait)
	const done = await doneOf(stack, id)
	if (!done) {
		return undefined
	}
	const before = resumptions(stack, id).length
	process.kill(nodeOf(stack), 'SIGKILL')
	while (resumptions(stack, id).length === before) {
		if ((await doneOf(stack, id)) === undefined) {
			throw new Error(`expected ${id} to go on from a checkpoint, but it ended`)
		}
		await sleep(100)
	}
	return Math.max(0, done - resumptions(stack, id).at(-1)!)
}

/** How many evaluations were done where nodes went on. */
const resumptions = ({ output }: Stack, id: string): number[] =>
	output.flatMap((line) => {
		const [, done] = line.includes(id) ? (/goes on from a checkpoint, (\d+) of/.exec(line) ?? []) : []
		return done === undefined ? [] : [Number(done)]
	})
