import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const main = (given: string[], environment: NodeJS.ProcessEnv = {}) =>
	promisify(execFile)(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...given], {
		env: { ...process.env, ...environment }
	})

test('runs a stage in a process of its own, prints its table, and leaves its results where they are picked up', async () => {
	const scratch = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const out = path.join(scratch, 'out')
	try {
		const { stdout } = await main(['probe', '--provider', 'cpu', '--quick'], { OUT: out })
		expect(stdout).toMatch(/\n\| probe \| 256 × 256 matrices multiplied by cpu \| right, off by at most \S+ \| {2}\|\n/)
		const { probe } = JSON.parse(await readFile(path.join(out, 'results.json'), 'utf8')) as Record<
			string,
			{ what: string; got: string }[]
		>
		expect(probe).toContainEqual({
			what: '256 × 256 matrices multiplied by cpu',
			got: expect.stringMatching(/^right/),
			target: ''
		})
	} finally {
		await rm(scratch, { recursive: true })
	}
})

test.each([['sises'], ['constructor'], ['--models', 'constructor']])(
	'refuses a stage or model that there is not: %s',
	async (...given) => {
		await expect(main(given)).rejects.toMatchObject({
			code: 1,
			stderr: `expected a stage or model, got ${given.at(-1)}\n`
		})
	}
)
