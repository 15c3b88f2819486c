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
/**
 * Milliseconds of each measurement, and how often each is made: all of them take short turns, so that whatever else runs disturbs them alike; a
 * ratio is the median of those of each turn with its own baseline.
 */
const span = 500
const rounds = { quick: 3, full: 15 }

const order = { model: 'scenes', prompt: 'a large shiny red sphere on a grey floor' }

interface Load {
	url(): string
	key?(): string
	body?: object
	expected: number
	/** What it is compared with. */
	baseline?: string
}

/**
 * Accepted and refused requests of the built edge, beside an object and a route that do next to nothing, in the same run. Every acceptance
 * waits for the disk, on both sides; with TMPDIR in memory it is the processors that are compared. Requests come as if through Cloudflare, from so many
 * addresses that the flood guard counts each and turns none away.
 */
export async function edge({ quick }: { quick: boolean }): Promise<void> {
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
	const bare = () => `${baseline.url}/bare`
	// Whoever sees it knows no better than to compute the check.
	const forged = keys[0]!.slice(0, -1) + (keys[0]!.endsWith('0') ? '1' : '0')
	const loads: Record<string, Load> = {
		one: { url: () => submit, key: () => keys[0]!, expected: 202, baseline: 'one, baseline' },
		'one, baseline': { url: () => `${baseline.url}/rows/0`, expected: 202 },
		many: { url: () => submit, key: () => keys[next()]!, expected: 202, baseline: 'many, baseline' },
		'many, baseline': { url: () => `${baseline.url}/rows/${next()}`, expected: 202 },
		'bad key': { url: () => submit, key: () => forged, expected: 401, baseline: 'refused, baseline' },
		'refused, baseline': { url: bare, expected: 200 },
		'bad body': {
			url: () => submit,
			key: () => keys[0]!,
			body: { ...order, steps: 'many' },
			expected: 422,
			baseline: 'refused, baseline'
		}
	}
	const names = Object.keys(loads)
	const rates = Object.fromEntries(names.map((name): [string, number[]] => [name, []]))
	const times = Object.fromEntries(names.map((name): [string, number[]] => [name, []]))
	for (let round = -2; round < rounds[quick ? 'quick' : 'full']; round++) {
		for (const [name, load] of Object.entries(loads)) {
			const milliseconds = await drive(load)
			// The first two are for compilers and caches.
			if (round >= 0) {
				rates[name]!.push((milliseconds.length / span) * 1_000)
				times[name]!.push(...milliseconds)
			}
		}
	}
	await baseline.close()
	await edge.close()

	const print = (what: string, name: string, target: number) => {
		const against = loads[name]!.baseline!
		const ratios = rates[name]!.map((rate, i) => rate / rates[against]![i]!)
		const spread = [0.25, 0.75].map((p) => quantile(ratios, p).toFixed(2)).join('–')
		console.log(
			`  ${what.padEnd(28)} ${median(rates[name]!).toFixed(0).padStart(5)} a second, ${median(ratios).toFixed(2)} (${spread}) × ${median(rates[against]!).toFixed(0)} (target ${target}); ` +
				`median ${median(times[name]!).toFixed(1)} ms, p99 ${quantile(times[name]!, 0.99).toFixed(1)} ms`
		)
	}
	console.log(
		`  ${together} requests under way at once; beside an object's transaction of four rows, and a route that answers with its body`
	)
	print('accepted, one account', 'one', 0.6)
	print(`accepted, ${accounts} accounts`, 'many', 0.6)
	print('refused, bad key', 'bad key', 0.7)
	print('refused, bad body', 'bad body', 0.7)
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

let calls = 0
/** An address that at most a dozen requests come from. */
const address = () => {
	const n = Math.floor(calls++ / 12)
	return `198.${18 + ((n >> 16) & 1)}.${(n >> 8) & 255}.${n & 255}`
}

/** By node:http, which takes less of the machine that both sides share than fetch does. */
function post(agent: Agent, url: string, payload: string, key?: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const headers = {
			'content-type': 'application/json',
			'content-length': Buffer.byteLength(payload),
			'cf-connecting-ip': address(),
			...(key && { authorization: `Bearer ${key}` })
		}
		const call = request(url, { method: 'POST', agent, headers }, (answer) => {
			answer.resume().once('end', () => resolve(answer.statusCode ?? 0))
		})
		call.once('error', reject)
		call.end(payload)
	})
}
