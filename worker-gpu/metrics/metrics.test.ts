import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { expect, test } from 'vitest'
import { startEngine } from '../engine/client.ts'
import { tinyRequest } from '../golden/tiny.ts'
import { createMetrics } from './metrics.ts'
import { serveMetrics } from './server.ts'

test('what an engine and a node count can be scraped', async () => {
	const metrics = createMetrics()
	const heard = Promise.withResolvers<void>()
	/** Milliseconds in calls, of each time that the engine told of. */
	const spent: number[] = []
	const engine = await startEngine({
		models: ['tiny'],
		modelsDir: path.join(import.meta.dirname, '../golden'),
		provider: 'cpu',
		threads: 1,
		onStats(stats) {
			metrics.engine(stats)
			spent.push(stats.inferenceMs)
			if (stats.ticks.length > 0) {
				heard.resolve()
			}
		}
	})
	const server = await serveMetrics(metrics, () => engine.healthy, 0, '127.0.0.1')
	const ask = (path: string) => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
	try {
		const done = metrics.taken(1500)
		await engine.develop(tinyRequest)
		metrics.delivered()
		metrics.failed('Not "finite"')
		metrics.signing('O=Tests', new Date('2030-01-01'))
		await heard.promise
		// What was told once is not told again: when the batch limit is measured, too, there is nothing to tell.
		await expect.poll(() => spent.at(-1), { timeout: 30_000 }).toBe(0)
		expect(Math.max(...spent)).toBeGreaterThan(0)
		const answer = await ask('/metrics')
		expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
		const lines = (await answer.text()).split('\n')
		for (const line of [
			// Four ticks of two guided pictures.
			'darkroom_batch_size_bucket{le="2"} 0',
			'darkroom_batch_size_bucket{le="4"} 4',
			'darkroom_batch_size_bucket{le="+Inf"} 4',
			'darkroom_batch_size_sum 16',
			'darkroom_evaluations_total 16',
			'darkroom_tick_seconds_count 4',
			'darkroom_rows{state="active"} 0',
			'darkroom_queue_wait_seconds_bucket{le="1"} 0',
			'darkroom_queue_wait_seconds_bucket{le="2.5"} 1',
			'darkroom_generations 1',
			'darkroom_pictures_total 1',
			'darkroom_failures_total{type="NotFinite"} 0',
			'darkroom_failures_total{type="EdgeUnreachable"} 0',
			'darkroom_failures_total{type="StorageSilent"} 0',
			'darkroom_failures_total{type="Not \\"finite\\""} 1',
			'darkroom_certificate_expiry_timestamp_seconds{subject="O=Tests"} 1893456000'
		]) {
			expect(lines).toContain(line)
		}
		expect(lines.some((line) => /^darkroom_memory_bytes\{process="engine"\} [1-9]/.test(line))).toBe(true)
		done()
		expect(await (await ask('/metrics')).text()).toContain('\ndarkroom_generations 0\n')

		const healthz = async () => {
			const answer = await ask('/healthz')
			return [answer.status, await answer.text()]
		}
		expect(await healthz()).toEqual([200, 'ok\n'])
		expect((await ask('/')).status).toBe(404)
		const endless = { ...tinyRequest, steps: 900, width: 128, height: 128 }
		const cancel = new AbortController()
		const canceled = engine.develop(endless, { signal: cancel.signal }).catch(() => {})
		await expect.poll(metrics.page, { timeout: 10_000 }).toMatch(/darkroom_rows\{state="active"\} [1-9]/)
		process.kill(engine.pid!, 'SIGKILL')
		await expect.poll(healthz, { timeout: 10_000 }).toEqual([503, 'the engine is being started\n'])
		expect(metrics.page()).toContain('\ndarkroom_rows{state="active"} 0\n')
		expect(metrics.page()).toContain('\ndarkroom_memory_bytes{process="engine"} 0\n')
		cancel.abort()
		await canceled
		await expect.poll(healthz, { timeout: 30_000 }).toEqual([200, 'ok\n'])
	} finally {
		server.close()
		await engine.close()
	}
})

test('a port that is taken is told', async () => {
	const metrics = createMetrics()
	const server = await serveMetrics(metrics, () => true, 0, '127.0.0.1')
	const { port } = server.address() as AddressInfo
	await expect(serveMetrics(metrics, () => true, port, '127.0.0.1')).rejects.toThrow('EADDRINUSE')
	server.close()
})

test('the dashboard asks for nothing but what there is', () => {
	const there = Array.from(
		createMetrics()
			.page()
			.matchAll(/^# TYPE (\S+) /gm),
		([, name]) => name
	)
	const dashboard = readFileSync(path.join(import.meta.dirname, '../../infra/grafana/nodes.json'), 'utf8')
	const asked = Array.from(dashboard.matchAll(/(darkroom_\w+?)(?:_bucket)?\b/g), ([, name]) => name)
	expect(asked.length).toBeGreaterThan(9)
	expect(there).toEqual(expect.arrayContaining(asked))
})
