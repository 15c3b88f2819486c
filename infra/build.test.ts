import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { copyTree } from '../test/tree.ts'

it('says that it builds, and sweeps what one has left that was killed', async () => {
	const tree = copyTree()
	onTestFinished(() => rmSync(tree, { recursive: true, force: true }))
	const build = () => spawn(process.execPath, [join(tree, 'infra/build.ts')], { detached: true })
	const built = () => readdirSync(join(tree, 'dist')).filter((name) => !name.startsWith('.'))

	const killed = build()
	const ended = once(killed, 'exit')
	await expect.poll(() => existsSync(join(tree, `dist/edge.${killed.pid}`)), { timeout: 30_000, interval: 1 }).toBe(true)
	process.kill(-killed.pid!, 'SIGKILL')
	await ended
	expect(built()).toContain(`edge.${killed.pid}`)

	expect(await text(build().stdout)).toMatch(/^building the edge, .*\nedge bundle: \d+ KiB gzipped\n$/)
	expect(built()).toEqual(['edge', 'site.json'])
	expect(await text(build().stdout)).toBe('')
})
