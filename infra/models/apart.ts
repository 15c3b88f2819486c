import { fork } from 'node:child_process'
import { FIRST } from '../../worker-gpu/engine/call-bounds.ts'
import type { ProviderChoice } from '../../worker-gpu/onnx/provider.ts'
import type { Export } from './folder.ts'
import type { Staged } from './stage.ts'

/** What is asked of process.ts. */
export type Order = { readonly provider: ProviderChoice } & (
	| { readonly work: 'stage'; readonly id: string; readonly found: Export; readonly staged: string }
	| { readonly work: 'check'; readonly modelsDir: string; readonly catalogFile: string; readonly id: string | undefined }
)

/** What it says: each second, but not in the midst of a call, that it is there; and once how it ended. */
export type Said =
	| { type: 'here' }
	| { type: 'done'; staged: Staged | undefined }
	| { type: 'failed'; name: string; message: string }

const LISTEN_MS = 1_000

/**
 * Works with graphs in a process of its own, which writes on the same terminal: a call of ONNX Runtime cannot be interrupted, one of a hostile graph may never return, and
 * a crash takes the process along. Resolves and rejects when it has ended.
 *
 * @param longest milliseconds that a call, or loading a graph, may take; the engine would wait no longer for it
 */
export async function apart(order: Order, signal: AbortSignal, longest = FIRST): Promise<Staged | undefined> {
	signal.throwIfAborted()
	const child = fork(new URL('process.ts', import.meta.url), { serialization: 'advanced' })
	const { promise, resolve, reject } = Promise.withResolvers<Staged | undefined>()
	let settle: (() => void) | undefined
	const end = (how: () => void) => {
		settle ??= how
		child.kill('SIGKILL')
	}
	const leave = () => end(() => reject(signal.reason))
	signal.addEventListener('abort', leave)
	// In turns of a timer: a machine that slept has accused nobody.
	let silent = 0
	const listening = setInterval(() => {
		silent += LISTEN_MS
		if (silent > longest) {
			end(() => reject(new Error(`expected each call of its graphs to return within ${longest / 1000} s, but one did not`)))
		}
	}, LISTEN_MS)
	child.on('message', (said: Said) => {
		silent = 0
		if (said.type === 'done') {
			end(() => resolve(said.staged))
		} else if (said.type === 'failed') {
			end(() => reject(Object.assign(new Error(said.message), { name: said.name })))
		}
	})
	child.once('error', (error) => child.pid === undefined && reject(error))
	child.once('exit', (code, by) => {
		const crash = () =>
			reject(new Error(`expected graphs that run, but the process that ran them ended with ${by ?? `exit code ${code}`}`))
		;(settle ?? crash)()
	})
	child.send(order, () => {})
	try {
		return await promise
	} finally {
		clearInterval(listening)
		signal.removeEventListener('abort', leave)
	}
}
