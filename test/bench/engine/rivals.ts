import { spawn } from 'node:child_process'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { root } from '../../root.ts'

/** Seconds: one guided picture of 25 steps, eight in one call, and pictures of given steps one after another. */
const Times = z.object({ one: z.number(), eight: z.number(), mixed: z.number() })
export type Times = z.infer<typeof Times>
const Found = z.object({ diffusers: Times, optimum: Times.optional(), without: z.string().optional() })

/** On a busy machine torch's threads wait for each other: twenty-five steps have taken 14 s there, and twenty-eight 0.7 s a little later. */
const MOST_MS = 180_000

/** diffusers and Optimum on the same weights, by the model kit; or why there is nothing to compare with. */
export async function rivals(steps: readonly number[], times: number): Promise<z.infer<typeof Found> | string> {
	const child = spawn('python3', ['-m', 'scenes', 'rivals', '--times', String(times), '--steps', ...steps.map(String)], {
		cwd: path.join(root, 'infra/model-kit'),
		timeout: MOST_MS,
		stdio: ['ignore', 'pipe', 'pipe']
	})
	child.on('error', () => {}) // Told by its streams, which are empty then.
	const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
	try {
		return Found.parse(JSON.parse(out.trim().split('\n').at(-1) ?? ''))
	} catch {
		if (child.killed) {
			return `the model kit did not end within ${MOST_MS / 1000} s`
		}
		return `the model kit does not run here: ${err.trim().split('\n').at(-1)}`
	}
}
