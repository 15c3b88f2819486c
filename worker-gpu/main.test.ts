import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, open, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const queue = 'redis://127.0.0.1:1'

test.each([
	['no queue', {}, 'QUEUE_URL: expected postgres://, redis:// or rediss://'],
	['a queue of no known kind', { QUEUE_URL: 'http://queue' }, 'QUEUE_URL: expected postgres://, redis:// or rediss://'],
	['a password that is not escaped', { QUEUE_URL: 'redis://:100%@queue' }, 'QUEUE_URL: expected a URL whose user and password'],
	[
		'an edge that is none',
		{ QUEUE_URL: queue, EDGE_ORIGINS: 'https://a.example,edge' },
		'EDGE_ORIGINS: expected http(s) URLs, got edge'
	],
	['an unknown model', { QUEUE_URL: queue, DARKROOM_MODELS: 'scenes,two\nlines' }, 'expected models of the catalog (scenes, '],
	[
		'a model that is not there',
		{ QUEUE_URL: queue, MODELS_DIR: 'nowhere' },
		'nowhere/scenes: expected a folder in the diffusers ONNX layout'
	],
	['a port that is none', { QUEUE_URL: queue, METRICS_PORT: 'http' }, 'METRICS_PORT: expected a port, got http'],
	['a certificate without its key', { QUEUE_URL: queue, C2PA_CERTIFICATE: 'none' }, 'private key: expected PEM'],
	[
		'an unknown provider',
		{ QUEUE_URL: queue, DARKROOM_PROVIDER: 'abacus' },
		'DARKROOM_PROVIDER: expected auto, cpu or cuda, got abacus'
	]
])('with %s it says so in one line and asks not to be started again', async (_, env, line) => {
	const { code, stderr } = await main([], env)
	expect(stderr).toContain(line)
	expect(stderr.trim().split('\n')).toHaveLength(1)
	expect(code).toBe(78)
})

test('a taken METRICS_PORT is named, and tried again when it is started again: another node may be about to end', async () => {
	const other = createServer().listen(0, '127.0.0.1')
	await once(other, 'listening')
	const { code, stderr } = await main([], { QUEUE_URL: queue, METRICS_PORT: String((other.address() as AddressInfo).port) })
	other.close()
	expect([code, stderr]).toEqual([1, expect.stringMatching(/^METRICS_PORT: listen EADDRINUSE.*\n$/)])
})

/** As a container's user that is a number alone. */
const nobody = ['--user', '--map-user=54321', '--map-group=54321']
test.runIf(spawnSync('unshare', [...nobody, 'true']).status === 0)('works for a user that has no home', () => {
	const env = { PATH: process.env.PATH, QUEUE_URL: 'nowhere' }
	const { stderr } = spawnSync('unshare', [...nobody, process.execPath, path.join(import.meta.dirname, 'main.ts')], {
		env,
		encoding: 'utf8'
	})
	expect(stderr).toBe('QUEUE_URL: expected postgres://, redis:// or rediss://, got no URL\n')
})

test('--help names every variable', async () => {
	const { code, stdout } = await main(['--help'], {})
	for (const name of [
		'QUEUE_URL',
		'EDGE_ORIGINS',
		'DARKROOM_PROVIDER',
		'DARKROOM_MODELS',
		'MODELS_DIR',
		'CACHE_DIR',
		'BATCH_LIMITS',
		'DRAIN_SECONDS',
		'METRICS_PORT',
		'C2PA_CERTIFICATE',
		'C2PA_PRIVATE_KEY'
	]) {
		expect(stdout).toContain(name)
	}
	expect(code).toBe(0)
})

test.runIf(process.platform === 'linux')(
	'its terminal closed while a model loads, it ends at once, with its engine',
	async () => {
		const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		await cp(path.join(import.meta.dirname, 'golden/tiny'), path.join(folder, 'scenes'), { recursive: true })
		const graph = path.join(folder, 'scenes/unet/model.onnx')
		await rm(graph)
		execFileSync('mkfifo', [graph])
		const env = { PATH: process.env.PATH, QUEUE_URL: queue, MODELS_DIR: folder, DARKROOM_MODELS: 'scenes' }
		const node = spawn(process.execPath, [path.join(import.meta.dirname, 'main.ts')], { env })
		// Opens when the engine does so, which then waits for ever for what nobody writes.
		const writer = await open(graph, 'w')
		const engine = readFileSync(`/proc/${node.pid}/task/${node.pid}/children`, 'utf8').trim()
		expect(engine).toMatch(/^\d+$/)
		node.kill('SIGHUP') // As SIGINT and SIGTERM do, which all others send.
		expect(await once(node, 'exit')).toEqual([0, null])
		await expect.poll(() => existsSync(`/proc/${engine}`), { timeout: 20_000 }).toBe(false)
		await writer.close()
		await rm(folder, { recursive: true })
	}
)

async function main(args: string[], env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
	const child = spawn(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...args], {
		env: { PATH: process.env.PATH, ...env }
	})
	const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
	return { code, stdout, stderr }
}
