import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { root } from '../../root.ts'

/** Seconds: one guided picture of 25 steps, eight in one call, and pictures of given steps one after another. */
const Times = z.object({ one: z.number(), eight: z.number(), mixed: z.number() })
export type Times = z.infer<typeof Times>

/** On a busy machine torch's threads wait for each other: twenty-five steps have taken 14 s there, and twenty-eight 0.7 s a little later. */
const MOST_MS = 180_000

const kit = path.join(root, 'infra/model-kit')
/** Optimum wants older versions of what it stands on than the model kit: see scenes/requirements-optimum.txt. */
const pythons = { diffusers: 'python3', optimum: path.join(kit, '.optimum/bin/python') }
export type Rival = keyof typeof pythons

/** Another server on the same weights, by the model kit; or why there is nothing to compare with. */
export async function rival(server: Rival, steps: readonly number[], times: number): Promise<Times | string> {
	if (server === 'optimum' && !existsSync(pythons.optimum)) {
		return 'infra/model-kit/scenes/requirements-optimum.txt tells how to install it'
	}
	const child = spawn(
		pythons[server],
		['-m', 'scenes', 'rivals', server, '--times', `${times}`, '--steps', ...steps.map(String)],
		{
			cwd: kit,
			timeout: MOST_MS,
			stdio: ['ignore', 'pipe', 'pipe']
		}
	)
	child.on('error', () => {}) // Told by its streams, which are empty then.
	const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
	try {
		return Times.parse(JSON.parse(out.trim().split('\n').at(-1) ?? ''))
	} catch {
		return child.killed ? `it did not end within ${MOST_MS / 1000} s` : `it does not run here: ${err.trim().split('\n').at(-1)}`
	}
}
