import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildEdge } from '../../../infra/build.ts'
import { freePort } from '../../../infra/ports.ts'
import { Supervisor } from '../../../infra/supervisor.ts'
import { openProducer } from '../../../shared/queue.ts'
import { secrets } from '../../edge.ts'
import { descendants } from '../../processes.ts'
import { type QueueServer, type Way, wayTo } from '../../queues.ts'
import { root } from '../../root.ts'
import { openWire, type Wire } from './wire.ts'

export const nodes = ['a', 'b'] as const
/** Of node b, against everyone else's. */
const clockAhead = 3_600_000

/** A whole Darkroom whose parts can be reached one by one: two nodes, an edge, a queue, and the ways between them. */
export interface House {
	url: string
	queue: QueueServer
	toQueue: Way
	wire: Wire
	/** Every line that its processes have printed. */
	output: string[]
	cacheOf(node: string): string
	/** Process ids of what matches; none while it is down. */
	find(part: Part): number[]
	admin<T>(method: string, path: string, body?: object): Promise<T>
	close(): Promise<void>
}

export type Part = 'edge' | 'workerd' | 'queue' | `node ${string}` | `engine ${string}`

export async function openHouse(openQueue: () => Promise<QueueServer>): Promise<House> {
	await buildEdge()
	const dir = mkdtempSync(join(tmpdir(), 'darkroom-house-'))
	const queue = await openQueue()
	await queue.start()
	const toQueue = await wayTo(queue.url)
	const producer = openProducer(queue.url)
	await producer.prepare()
	await producer.close()
	const port = await freePort()
	const url = `http://127.0.0.1:${port}`
	const wire = await openWire(port)
	const output: string[] = []
	const cacheOf = (node: string) => join(dir, `cache-${node}`)
	const began = performance.now()
	const supervisor = new Supervisor(
		(name, line) => output.push(`${((performance.now() - began) / 1000).toFixed(1)} ${name} | ${line}`),
		(message) => {
			throw new Error(message)
		},
		() => {}
	)
	const node = (name: string) => ({
		name: `node ${name}`,
		command: process.execPath,
		// The condition is its name, in the table of processes.
		args: [
			...['-C', name],
			...(name === 'b' ? ['--import', `data:text/javascript,${encodeURIComponent(shifted)}`] : []),
			join(root, 'worker-gpu/main.ts')
		],
		env: {
			QUEUE_URL: toQueue.url,
			EDGE_ORIGINS: url,
			CACHE_DIR: cacheOf(name),
			DARKROOM_PROVIDER: 'cpu',
			DARKROOM_MODELS: 'scenes,scenes-classes,scenes-unconditional',
			DRAIN_SECONDS: '1',
			NODE_USE_ENV_PROXY: '1',
			...Object.fromEntries(['HTTP_PROXY', 'http_proxy'].map((variable) => [variable, wire.urlOf(name)])),
			...Object.fromEntries(['NO_PROXY', 'no_proxy'].map((name) => [name, '']))
		},
		ready: /^ready: /,
		stop: 'SIGTERM' as const,
		ipc: true
	})
	const edge = {
		name: 'edge',
		command: process.execPath,
		args: [join(root, 'infra/edge.ts')],
		env: {
			PORT: String(port),
			DATA_DIR: join(dir, 'edge'),
			EDGE_SECRETS: JSON.stringify({ ...secrets, QUEUE_URL: toQueue.url })
		},
		ready: /^ready: /,
		stop: 'SIGTERM' as const,
		ipc: true
	}
	const children = [edge, ...nodes.map(node)]
	await Promise.all(children.map((child) => supervisor.start(child)))

	return {
		url,
		queue,
		toQueue,
		wire,
		output,
		cacheOf,
		find(part) {
			const ours = descendants(process.pid)
			const matching = (pattern: RegExp, among = ours) =>
				among.filter(({ command }) => pattern.test(command)).map(({ pid }) => pid)
			const [kind, name] = part.split(' ')
			switch (kind) {
				case 'edge':
					return matching(/infra\/edge\.ts/)
				case 'workerd':
					return matching(/workerd serve/)
				case 'queue':
					return matching(/redis-server|postgres/)
				case 'node':
					return matching(new RegExp(`-C ${name} .*worker-gpu/main\\.ts`))
				default:
					return matching(new RegExp(`-C ${name} .*worker-gpu/main\\.ts`)).flatMap((pid) =>
						matching(/worker-gpu\/engine\/process\.ts/, descendants(pid))
					)
			}
		},
		async admin(method, path, body) {
			const answer = await fetch(`${url}/v1/admin/accounts/${path}`, {
				method,
				headers: { authorization: `Bearer ${secrets.ADMIN_TOKEN}`, 'content-type': 'application/json' },
				...(body && { body: JSON.stringify(body) })
			})
			if (!answer.ok) {
				throw new Error(`${method} ${path}: expected a 2xx, got ${answer.status}: ${await answer.text()}`)
			}
			return answer.json()
		},
		async close() {
			await supervisor.stop(children, 5_000)
			wire.close()
			toQueue.close()
			await queue.remove()
			rmSync(dir, { recursive: true, force: true })
		}
	}
}

const shifted = `const now = Date.now
globalThis.Date = class extends Date {
	constructor(...given) { given.length ? super(...given) : super(now() + ${clockAhead}) }
	static now() { return now() + ${clockAhead} }
}`
