import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { lock } from './lock.ts'

let dataDir: string
beforeEach(() => {
	dataDir = mkdtempSync(join(tmpdir(), 'darkroom-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

/** Says whether it got the lock, and keeps it until its input ends. */
const script = `
	import { lock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))}
	process.stdin.on('end', () => process.exit()).resume()
	try { lock(process.env.DATA_DIR); console.log('held') } catch (error) { console.log(error.message) }
`

/** What so many processes hear that ask for the lock at once; on a machine without `ps`, as many containers are. */
async function compete(many: number): Promise<string[]> {
	const competitors = Array.from({ length: many }, () => {
		const args = ['--input-type=module', '-e', script, 'infra/dev.ts']
		return spawn(process.execPath, args, { env: { DATA_DIR: dataDir, PATH: '' }, stdio: ['pipe', 'pipe', 'inherit'] })
	})
	const said = competitors.map(
		({ stdout }) => new Promise<string>((resolve) => stdout.once('data', (line) => resolve(`${line}`)))
	)
	const heard = await Promise.all(said)
	for (const { stdin } of competitors) {
		stdin.end()
	}
	await Promise.all(
		competitors.map((competitor) => competitor.exitCode ?? new Promise((resolve) => competitor.once('exit', resolve)))
	)
	return heard
}

it.each([
	['nobody', undefined],
	['one that was killed', '{"pid":2147483647,"children":[]}'],
	['a full disk', '']
])('of several that start at once after %s, one alone gets the data', async (_, left) => {
	if (left !== undefined) {
		writeFileSync(join(dataDir, 'lock.json'), left)
	}
	const heard = await compete(6)
	expect(heard.filter((line) => line === 'held\n')).toHaveLength(1)
	expect(heard.filter((line) => line.startsWith('another Darkroom (process '))).toHaveLength(5)
})

it('ends what a killed one has left running, and no stranger that has got its number since', async () => {
	const begin = async (name: string) => {
		const args = ['-e', 'setInterval(() => {}, 1000); console.log("up")', name]
		const child = spawn(process.execPath, args, { detached: true })
		await new Promise((resolve) => child.stdout.once('data', resolve))
		return child
	}
	const [left, stranger] = [await begin('worker-gpu/main.ts'), await begin('editor')]
	writeFileSync(join(dataDir, 'lock.json'), JSON.stringify({ pid: 2147483647, children: [stranger.pid, left.pid] }))
	const ended = text(left.stdout)
	expect(await compete(1)).toEqual(['held\n'])
	await ended
	expect(stranger.signalCode).toBeNull()
	stranger.kill()
	expect(JSON.parse(readFileSync(join(dataDir, 'lock.json'), 'utf8'))).toMatchObject({ children: [] })
})

it('ends what goes on without the leader of its group, as the runtime of an edge that was killed too', async () => {
	const runtime = ['-e', 'setInterval(() => {}, 1000); console.log("up")', 'workerd']
	const fork = `require('node:child_process').spawn(process.execPath, ${JSON.stringify(runtime)}, { stdio: 'inherit' })`
	const leader = spawn(process.execPath, ['-e', fork, 'infra/edge.ts'], { detached: true })
	await new Promise((resolve) => leader.stdout.once('data', resolve))
	const ended = text(leader.stdout)
	leader.kill('SIGKILL')
	await new Promise((resolve) => leader.once('exit', resolve))
	writeFileSync(join(dataDir, 'lock.json'), JSON.stringify({ pid: 2147483647, children: [leader.pid] }))
	expect(await compete(1)).toEqual(['held\n'])
	await ended
})

it('makes a folder for data that is for its owner alone, and those above it as folders are usually made', () => {
	const above = join(dataDir, 'above')
	lock(join(above, 'data')).release()
	const mode = (folder: string) => statSync(folder).mode & 0o777
	expect(mode(join(above, 'data'))).toBe(0o700)
	expect(mode(above)).toBe(0o777 & ~process.umask())
})
