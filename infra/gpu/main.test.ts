import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const program = path.join(import.meta.dirname, 'main.ts')
const main = (given: string[], environment: NodeJS.ProcessEnv = {}) =>
	promisify(execFile)(process.execPath, [program, ...given], { env: { ...process.env, ...environment } })

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

test('a stage ends with what runs it, however that was stopped', async () => {
	const running = execFile(process.execPath, [program, 'overlap', '--provider', 'cpu', '--quick'])
	let said = ''
	running.stdout!.on('data', (text: string) => {
		said += text
		if (said.includes('no call runs')) {
			running.kill('SIGKILL')
		}
	})
	await once(running, 'close') // Once nobody holds its output any more.
	expect(said).toContain("sessions in the engine's thread")
	expect(said).not.toContain('two calls in turn')
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
