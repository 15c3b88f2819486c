import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { copyTree } from '../test/tree.ts'

it('says that it builds, sweeps what one has left that was killed, and takes nothing away from another, nor from who reads the last one', async () => {
	const tree = copyTree()
	onTestFinished(() => rmSync(tree, { recursive: true, force: true }))
	const [dist, script] = [join(tree, 'dist'), join(tree, 'infra/build.ts')]
	const built = () => readdirSync(dist).filter((name) => !name.startsWith('.'))

	const killed = spawn(process.execPath, [script], { detached: true })
	const ended = once(killed, 'exit')
	await expect.poll(() => existsSync(join(dist, `edge.${killed.pid}`)), { timeout: 30_000, interval: 1 }).toBe(true)
	process.kill(-killed.pid!, 'SIGKILL')
	await ended
	expect(built()).toContain(`edge.${killed.pid}`)

	const files = [join(dist, 'edge/worker.js'), join(dist, 'site.json')]
	const reading = files.map((file) => {
		writeFileSync(file, 'the last one')
		return openSync(file, 'r')
	})
	const build = async () => (await promisify(execFile)(process.execPath, [script])).stdout
	const [said] = await Promise.all([build(), build()])
	expect(said).toMatch(/^building the edge, .*\nedge bundle: \d+ KiB gzipped\n$/)
	expect(reading.map((file) => readFileSync(file, 'utf8'))).toEqual(['the last one', 'the last one'])
	reading.forEach((file) => {
		closeSync(file)
	})
	expect(built()).toEqual(['edge', 'site.json'])
	expect(readFileSync(files[0]!, 'utf8')).toMatch(/sourceMappingURL=worker.js.map\s*$/)
	expect(await build()).toBe('')
})
