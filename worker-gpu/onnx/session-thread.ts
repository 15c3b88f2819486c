import { Worker } from 'node:worker_threads'
import type { Opening, Ran, Session, Values } from './session.ts'

/**
 * Sessions in a thread of their own, one for the whole process: what this thread does while a call runs, the GPU does not wait for. Requests are served first
 * in, first out, so a call that is asked for while another one runs begins as soon as that ends. What kills that thread kills the process.
 */

/** What session-worker.ts is asked. */
export type Request =
	| { readonly type: 'open'; readonly session: number; readonly file: string; readonly provider: Opening }
	| {
			readonly type: 'run'
			readonly session: number
			readonly feeds: Record<string, Values>
			readonly outputs: readonly string[]
	  }
	| { readonly type: 'release'; readonly session: number }

/** To the oldest request that has none: what it asked for, or why not. */
export type Answer = { readonly got: unknown } | { readonly error: unknown }

interface Asked {
	readonly begins: () => void
	readonly settle: PromiseWithResolvers<unknown>
}

let worker: Worker | undefined
/** Without an answer, the one that is served first. */
const asked: Asked[] = []
let opened = 0

/** As `openSession`. */
export async function openSessionInThread(file: string, opening: Opening, begins: () => void): Promise<Session> {
	const { name, sessionOptions, shapes } = opening
	const session = opened++
	const provider = { name, sessionOptions, shapes }
	const ports = await ask<Pick<Session, 'inputs' | 'outputs'>>({ type: 'open', session, file, provider }, begins)
	return {
		...ports,
		run(feeds, outputs, begins) {
			// What is in shared memory stays where it is, and its owner leaves it alone until the answer; of the rest a copy is handed over.
			const memory: ArrayBuffer[] = []
			const handed = Object.entries(feeds).map(([name, values]) => {
				if ((values.data as Float32Array).buffer instanceof SharedArrayBuffer) {
					return [name, values]
				}
				const data = values.data.slice() as Float32Array<ArrayBuffer>
				memory.push(data.buffer)
				return [name, { ...values, data }]
			})
			return ask<Ran>({ type: 'run', session, feeds: Object.fromEntries(handed), outputs }, begins, memory)
		},
		release: () => ask({ type: 'release', session })
	}
}

function ask<T>(request: Request, begins = () => {}, memory: ArrayBuffer[] = []): Promise<T> {
	worker ??= start()
	const settle = Promise.withResolvers<unknown>()
	worker.postMessage(request, memory) // Throws where it cannot be given to another thread.
	asked.push({ begins, settle })
	if (asked.length === 1) {
		worker.ref()
		begins()
	}
	return settle.promise as Promise<T>
}

function start(): Worker {
	// What this process was told of its own program (--eval, --input-type) is not for that one.
	const thread = new Worker(new URL('session-worker.ts', import.meta.url), { execArgv: [] })
	thread.on('message', (answer: Answer) => {
		const { settle } = asked.shift()!
		'error' in answer ? settle.reject(answer.error) : settle.resolve(answer.got)
		if (asked.length === 0) {
			thread.unref() // Idle, it keeps no process from ending.
		}
		asked[0]?.begins()
	})
	return thread
}
