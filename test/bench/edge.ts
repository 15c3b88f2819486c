import { execFileSync } from 'node:child_process'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { build } from 'esbuild'
import { startWorker } from '../../infra/edge.ts'
import { freePort } from '../../infra/ports.ts'
import { startBareEdge } from '../edge.ts'
import { root } from '../root.ts'
import { median, quantile } from './statistics.ts'

const accounts = 50
/** Requests under way at once. */
const together = 32
/** Milliseconds of each measurement, and how often each is made: all of them take turns, so that whatever else runs disturbs them alike. */
const span = 2_000
const rounds = { quick: 1, full: 3 }

const order = { model: 'scenes', prompt: 'a large shiny red sphere on a grey floor' }

interface Load {
	url(): string
	key?(): string
	body?: object
	expected: number
}

/**
 * Accepted and refused requests of the built edge, beside an object and a route that do next to nothing, in the same run. Every acceptance
 * waits for the disk, on both sides; with TMPDIR in memory it is the processors that are compared.
 */
export async function edge({ quick }: { quick: boolean }): Promise<void> {
	execFileSync(process.execPath, [join(root, 'infra/build.ts')], { stdio: 'ignore' })
	const edge = await startBareEdge()
	const script = join(root, 'dist/baseline.js')
	await build({
		entryPoints: [join(import.meta.dirname, 'baseline.ts')],
		outfile: script,
		bundle: true,
		format: 'esm',
		external: ['cloudflare:workers'],
		logLevel: 'silent'
	})
	const baseline = await startWorker({ port: await freePort(), script, objects: { ROWS: 'Rows' } })

	const keys: string[] = []
	for (let i = 0; i < accounts; i++) {
		const key = await edge.key(`bench-${i}`)
		const none = { requests_per_minute: null, pictures_in_flight: null }
		await fetch(`${edge.url}/v1/admin/accounts/bench-${i}`, {
			method: 'PUT',
			headers: { authorization: `Bearer ${edge.adminToken}`, 'content-type': 'application/json' },
			body: JSON.stringify({ plan: 'scale', limits: none })
		})
		keys.push(key)
	}
	let turn = 0
	const next = () => turn++ % accounts
	const submit = `${edge.url}/v1/generations`
	const loads: Record<string, Load> = {
		one: { url: () => submit, key: () => keys[0]!, expected: 202 },
		'one, baseline': { url: () => `${baseline.url}/rows/0`, expected: 202 },
		many: { url: () => submit, key: () => keys[next()]!, expected: 202 },
		'many, baseline': { url: () => `${baseline.url}/rows/${next()}`, expected: 202 },
		'bad key': { url: () => submit, key: () => `${keys[0]}0`, expected: 401 },
		'bad body': { url: () => submit, key: () => keys[0]!, body: { ...order, steps: 'many' }, expected: 422 },
		'refused, baseline': { url: () => `${baseline.url}/bare`, expected: 200 }
	}
	const names = Object.keys(loads)
	const rates = Object.fromEntries(names.map((name): [string, number[]] => [name, []]))
	const times = Object.fromEntries(names.map((name): [string, number[]] => [name, []]))
	for (let round = -1; round < rounds[quick ? 'quick' : 'full']; round++) {
		for (const [name, load] of Object.entries(loads)) {
			const milliseconds = await drive(load)
			if (round >= 0) {
				rates[name]!.push((milliseconds.length / span) * 1_000)
				times[name]!.push(...milliseconds)
			}
		}
	}
	await baseline.close()
	await edge.close()

	const print = (what: string, name: string, against: string, target: number) => {
		const ratio = median(rates[name]!.map((rate, i) => rate / rates[against]![i]!))
		console.log(
			`  ${what.padEnd(28)} ${median(rates[name]!).toFixed(0).padStart(5)} a second, ${ratio.toFixed(2)} × ${median(rates[against]!).toFixed(0)} (target ${target}); ` +
				`median ${median(times[name]!).toFixed(1)} ms, p99 ${quantile(times[name]!, 0.99).toFixed(1)} ms`
		)
	}
	console.log(
		`  ${together} requests under way at once; beside an object's transaction of four rows, and a route that answers with its body`
	)
	print('accepted, one account', 'one', 'one, baseline', 0.6)
	print(`accepted, ${accounts} accounts`, 'many', 'many, baseline', 0.6)
	print('refused, bad key', 'bad key', 'refused, baseline', 0.7)
	print('refused, bad body', 'bad body', 'refused, baseline', 0.7)
}

/** Milliseconds of each request that was answered within the span. */
async function drive({ url, key, body = order, expected }: Load): Promise<number[]> {
	const agent = new Agent({ keepAlive: true, maxSockets: together })
	const payload = JSON.stringify(body)
	const end = performance.now() + span
	const took: number[] = []
	const one = async () => {
		while (performance.now() < end) {
			const began = performance.now()
			const status = await post(agent, url(), payload, key?.())
			if (status !== expected) {
				throw new Error(`expected ${expected}, got ${status}`)
			}
			took.push(performance.now() - began)
		}
	}
	await Promise.all(Array.from({ length: together }, one))
	agent.destroy()
	return took
}

/** By node:http, which takes less of the machine that both sides share than fetch does. */
function post(agent: Agent, url: string, payload: string, key?: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const headers = {
			'content-type': 'application/json',
			'content-length': Buffer.byteLength(payload),
			...(key && { authorization: `Bearer ${key}` })
		}
		const call = request(url, { method: 'POST', agent, headers }, (answer) => {
			answer.resume().once('end', () => resolve(answer.statusCode ?? 0))
		})
		call.once('error', reject)
		call.end(payload)
	})
}
