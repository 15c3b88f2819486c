import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { asked } from '../../queues.ts'
import { between, type Chance, oneOf } from './chance.ts'
import { type House, nodes, type Part } from './house.ts'
import { type Trouble, whims } from './wire.ts'

/** Something that goes wrong, and is right again when it resolves. */
interface Fault {
	what: string
	run(house: House): Promise<void>
}

type Draw = (chance: Chance) => Fault

const signal = (part: Part, name: NodeJS.Signals): Fault => ({
	what: `${name} to ${part}`,
	async run(house) {
		send(house, part, name)
	}
})

const freeze = (part: Part, seconds: number): Fault => ({
	what: `${part} stands still for ${seconds.toFixed(0)} s`,
	async run(house) {
		const stopped = send(house, part, 'SIGSTOP')
		await sleep(seconds * 1_000)
		for (const pid of stopped) {
			kill(pid, 'SIGCONT')
		}
	}
})

const disturb = (what: string, seconds: number, trouble: Trouble): Fault => ({
	what: `${what} for ${seconds.toFixed(0)} s`,
	async run({ wire }) {
		wire.troubles.add(trouble)
		await sleep(seconds * 1_000)
		wire.troubles.delete(trouble)
	}
})

const node: Draw = (chance) => signal(`node ${oneOf(chance, nodes)}`, 'SIGKILL')
const engine: Draw = (chance) => signal(`engine ${oneOf(chance, nodes)}`, 'SIGKILL')
const drain: Draw = (chance) => signal(`node ${oneOf(chance, nodes)}`, 'SIGTERM')
const edge: Draw = (chance) => signal(oneOf(chance, ['edge', 'workerd']), 'SIGKILL')
const stillNode: Draw = (chance) => freeze(`node ${oneOf(chance, nodes)}`, between(chance, 5, 40))
const stillEngine: Draw = (chance) => freeze(`engine ${oneOf(chance, nodes)}`, between(chance, 5, 25))
const stillEdge: Draw = (chance) => freeze('workerd', between(chance, 2, 20))
const stillQueue: Draw = (chance) => freeze('queue', between(chance, 2, 20))
const callbacks: Draw = (chance) =>
	disturb('callbacks go wrong', between(chance, 5, 20), { line: 'callbacks', share: 0.4, whims })
const storage: Draw = (chance) => disturb('storage goes wrong', between(chance, 5, 20), { line: 'storage', share: 0.6, whims })
const slow: Draw = (chance) =>
	disturb('storage is slow', between(chance, 5, 20), { line: 'storage', share: 0.8, whims: ['late'] })
const apart: Draw = (chance) =>
	disturb('the edge is out of reach', between(chance, 3, 25), { line: 'callbacks', share: 1, whims: ['refused'] })
const cutOff: Draw = (chance) => {
	const [name, line] = [oneOf(chance, nodes), oneOf(chance, ['callbacks', 'storage'] as const)]
	return disturb(`node ${name} is cut off (${line})`, between(chance, 10, 100), {
		line,
		node: name,
		share: 1,
		whims: ['refused']
	})
}
const deaf: Draw = (chance) =>
	disturb('no answer of the edge arrives', between(chance, 3, 10), { line: 'callbacks', share: 1, whims: ['deaf', 'lie'] })

const queueDies: Draw = (chance) => {
	const seconds = between(chance, 1, 10)
	return {
		what: `SIGKILL to the queue, back after ${seconds.toFixed(0)} s`,
		async run(house) {
			send(house, 'queue', 'SIGKILL')
			await sleep(seconds * 1_000)
			await insist(() => house.queue.start())
		}
	}
}

const queueForgets: Draw = (chance) =>
	oneOf(chance, [
		{ what: 'the queue loses all it has', run: ({ queue }: House) => insist(() => queue.wipe()) },
		{ what: 'the queue loses its rows', run: ({ queue }: House) => insist(() => empty(queue)) },
		{ what: 'the way to the queue forgets its connections', run: async ({ toQueue }: House) => toQueue.forget() }
	])

const queueHangsUp: Draw = (chance) => {
	const times = Math.round(between(chance, 1, 40))
	return {
		what: `the queue ends all connections, ${times} times`,
		async run({ queue }) {
			for (let i = 0; i < times; i++) {
				await insist(() => queue.hangUp())
				await sleep(250)
			}
		}
	}
}

const queueRefuses: Draw = (chance) => {
	const seconds = between(chance, 2, 20)
	return {
		what: `the queue refuses what is written for ${seconds.toFixed(0)} s`,
		async run({ queue }) {
			await insist(() => queue.take(false))
			await sleep(seconds * 1_000)
			await insist(() => queue.take(true))
		}
	}
}

const cache: Draw = (chance) => {
	const name = oneOf(chance, nodes)
	return {
		what: `node ${name} begins anew and cannot keep anything on its disk`,
		async run(house) {
			const dir = house.cacheOf(name)
			rmSync(dir, { recursive: true, force: true })
			writeFileSync(dir, '')
			send(house, `node ${name}`, 'SIGKILL')
			await sleep(15_000)
			rmSync(dir, { recursive: true, force: true })
			mkdirSync(dir, { recursive: true })
		}
	}
}

/** What happens to the queue goes one after the other: it cannot be emptied while it is down. */
const ofQueue = [queueDies, queueForgets, queueForgets, queueHangsUp, queueRefuses, stillQueue]
const others = [
	node,
	node,
	engine,
	drain,
	edge,
	edge,
	stillNode,
	stillEngine,
	stillEdge,
	callbacks,
	callbacks,
	storage,
	storage,
	slow,
	apart,
	cutOff,
	deaf,
	cache
]

/** Faults for so many seconds, several at once; all is right again when it resolves. */
export async function goWrong(house: House, chance: Chance, seconds: number, tell: (what: string) => void): Promise<void> {
	const until = performance.now() + seconds * 1_000
	const run = async ({ what, run }: Fault) => {
		tell(what)
		await run(house)
	}
	// Drawn at once, so that a seed always makes the same ones however long they take.
	const several = Array.from({ length: seconds }, () => ({ fault: oneOf(chance, others)(chance), pause: between(chance, 1, 6) }))
	const queues = Array.from({ length: seconds }, () => ({ fault: oneOf(chance, ofQueue)(chance), pause: between(chance, 4, 15) }))
	const running: Promise<void>[] = []
	const all = async () => {
		for (const { fault, pause } of several) {
			await sleep(pause * 1_000)
			if (performance.now() > until) {
				break
			}
			running.push(run(fault))
		}
	}
	const queue = async () => {
		for (const { fault, pause } of queues) {
			await sleep(pause * 1_000)
			if (performance.now() > until) {
				break
			}
			await run(fault)
		}
	}
	await Promise.all([all(), queue()])
	await Promise.all(running)
}

/** Its rows, but not its tables. */
async function empty(queue: House['queue']): Promise<void> {
	if (queue.url.startsWith('redis')) {
		return queue.wipe()
	}
	await asked(queue.url, async (client) => {
		const { rows } = await client.query(
			"select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname = 'bullmq' and tablename not like '%migration%'"
		)
		if (rows.length > 0) {
			await client.query(`truncate ${rows.map(({ name }) => name).join(', ')}`)
		}
	})
}

/** PostgreSQL takes a while after it was killed, and nothing can be dropped that nobody has made again yet. */
async function insist(work: () => Promise<void>): Promise<void> {
	for (let attempt = 1; attempt < 10; attempt++) {
		try {
			return await work()
		} catch {
			await sleep(500)
		}
	}
}

function send(house: House, part: Part, name: NodeJS.Signals): number[] {
	const pids = house.find(part)
	for (const pid of pids) {
		kill(pid, name)
	}
	return pids
}

function kill(pid: number, name: NodeJS.Signals): void {
	try {
		process.kill(pid, name)
	} catch {
		// It has ended meanwhile.
	}
}
