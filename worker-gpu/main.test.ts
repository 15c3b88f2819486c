import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const queue = 'redis://127.0.0.1:1'

test.each([
	['no queue', {}, 'QUEUE_URL: expected postgres://, redis:// or rediss://'],
	['a queue of no known kind', { QUEUE_URL: 'http://queue' }, 'QUEUE_URL: expected postgres://, redis:// or rediss://'],
	['an edge that is none', { QUEUE_URL: queue, EDGE_ORIGINS: 'https://a.example,edge' }, 'EDGE_ORIGINS: expected http(s) URLs'],
	['an unknown model', { QUEUE_URL: queue, DARKROOM_MODELS: 'scenes,sketches' }, 'expected models of the catalog (scenes, '],
	[
		'a model that is not there',
		{ QUEUE_URL: queue, MODELS_DIR: 'nowhere' },
		'nowhere/scenes: expected a folder in the diffusers ONNX layout'
	],
	['a port that is none', { QUEUE_URL: queue, METRICS_PORT: 'http' }, 'METRICS_PORT: '],
	['a certificate without its key', { QUEUE_URL: queue, C2PA_CERTIFICATE: 'none' }, 'private key: expected PEM'],
	['an unknown provider', { QUEUE_URL: queue, DARKROOM_PROVIDER: 'abacus' }, 'DARKROOM_PROVIDER: ']
])('with %s it says so in one line and asks not to be started again', async (_, env, line) => {
	const { code, stderr } = await main([], env)
	expect(stderr).toContain(line)
	expect(stderr.trim().split('\n')).toHaveLength(1)
	expect(code).toBe(78)
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
		'DRAIN_SECONDS',
		'METRICS_PORT',
		'C2PA_CERTIFICATE',
		'C2PA_PRIVATE_KEY'
	]) {
		expect(stdout).toContain(name)
	}
	expect(code).toBe(0)
})

async function main(args: string[], env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
	const child = spawn(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...args], {
		env: { PATH: process.env.PATH, ...env }
	})
	const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
	return { code, stdout, stderr }
}
