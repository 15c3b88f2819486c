import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { ROWS } from './branches.ts'
import { type Feed, fromValues, toValues } from './convert.ts'
import { ModelError } from './model-error.ts'
import type { Provider } from './provider.ts'
import type { Shapes } from './rewritten.ts'
import { openSession } from './session.ts'
import { type SessionPerShape, sessionPerShape, shapeOf } from './session-per-shape.ts'
import { openSessionInThread } from './session-thread.ts'
import type { Tensor } from './tensor.ts'

/** One ONNX graph of a model, loaded: `text_encoder`, `unet`, `vae_decoder`. */
export interface Part {
	/** Its folder, for messages. */
	readonly folder: string
	readonly inputs: ReadonlyMap<string, Port>
	readonly outputs: ReadonlyMap<string, Port>
	/** Converts `feeds` to the graph's own types, runs it, and gives the named outputs as float32, in their order. */
	run(feeds: Readonly<Record<string, Feed>>, outputs: readonly string[]): Promise<Tensor[]>
	/** Whether a call with inputs of these dimensions takes no longer than the next ones like it. */
	isPlanned(inputs: Readonly<Record<string, Pick<Feed, 'dims'>>>): boolean
	/** Gives its memory back; it cannot be run any more. */
	release(): Promise<void>
}

/** An input or output as the graph declares it; exporters differ in types and ranks. */
export interface Port {
	readonly type: string
	/** A number where it is fixed, a name where it is free. */
	readonly dims: readonly (number | string)[]
}

/** Counts the milliseconds spent inside ONNX Runtime. */
export interface Stopwatch {
	milliseconds: number
	/**
	 * Told when the turn of a call comes. Those of the same name ask the same of the machine: one graph, with inputs of the same shapes. Undefined where a graph is
	 * loaded.
	 */
	begins?(call: string | undefined): void
	/** Undefined where it failed. */
	ended?(call: string, milliseconds: number | undefined): void
}

/** Whose calls are whose: what those take that are made within `callTime.run(own, …)` is added to `own`. */
export const callTime = new AsyncLocalStorage<{ inferenceMs: number }>()

/** Loads `<folder>/model.onnx`. */
export async function loadPart(folder: string, provider: Provider, stopwatch: Stopwatch): Promise<Part> {
	const file = path.join(folder, 'model.onnx')
	if (!existsSync(file)) {
		throw new ModelError(file, 'expected an ONNX graph, found no file')
	}
	const place = provider.ownThread ? openSessionInThread : openSession
	const version = versionOf(file)
	const open = async (shapes?: Shapes) => {
		if (versionOf(file) !== version) {
			throw new ModelError(file, 'expected the graph that was loaded first, found that it was replaced')
		}
		return place(file, { ...provider, shapes }, () => stopwatch.begins?.(undefined))
	}
	const once = async (): Promise<SessionPerShape> => ({ ...(await open()), isPlanned: () => true })
	const { inputs, outputs, run, isPlanned, release } = await (provider.plansShapes ? sessionPerShape(open) : once()).catch(
		(error: Error) => {
			const why = /implementation for|find kernel/.test(error.message)
				? ' (a graph that was optimised for GPUs runs there alone)'
				: /data type: 16$/.test(error.message)
					? ', which is bfloat16'
					: ''
			throw new ModelError(file, `expected an ONNX graph that loads, got: ${error.message}${why}`, { cause: error })
		}
	)
	return {
		folder,
		inputs,
		outputs,
		async run(feeds, wanted) {
			const values = Object.fromEntries(
				Array.from(inputs, ([name, port]) => {
					const feed = feeds[name]
					if (!feed) {
						const given = Object.keys(feeds).filter((name) => name !== ROWS)
						throw new ModelError(folder, `expected a graph with the inputs ${given.join(', ')}, got one more: ${name}`)
					}
					if (!fits(feed.dims, port.dims)) {
						const expected = `the input ${name} as [${port.dims.join(', ')}]`
						throw new RangeError(`${path.basename(folder)}: expected ${expected}, got [${feed.dims.join(', ')}]`)
					}
					return [name, toValues(feed, port.type, `${path.basename(folder)}: the input ${name}`)]
				})
			)
			const call = [folder, ...Object.values(values).map(({ dims }) => dims)].join(' | ')
			let [begun, spent]: [boolean, number | undefined] = [false, undefined]
			try {
				const ran = await run(values, wanted, () => {
					begun = true
					stopwatch.begins?.(call)
				})
				spent = ran.milliseconds
				stopwatch.milliseconds += spent
				const own = callTime.getStore()
				if (own) {
					own.inferenceMs += spent
				}
				return ran.outputs.map(fromValues)
			} catch (error) {
				const { message } = error as Error
				throw new Error(`${path.basename(folder)}: ${message}`, { cause: error })
			} finally {
				// Not where its graph could not be opened once more for it: who counts both would miss the next one that hangs.
				if (begun) {
					stopwatch.ended?.(call, spent)
				}
			}
		},
		isPlanned: (given) => isPlanned(shapeOf(Object.fromEntries(Array.from(inputs.keys(), (name) => [name, given[name]!])))),
		release
	}
}

/** Whether a graph takes an input of these dimensions; one that declares none may take any. */
const fits = (given: readonly number[], declared: Port['dims']): boolean =>
	declared.length === 0 ||
	(given.length === declared.length && declared.every((dim, axis) => typeof dim === 'string' || dim === given[axis]))

function versionOf(file: string): string {
	const { ino, size, mtimeMs } = statSync(file)
	return [ino, size, mtimeMs].join()
}

/** The port of that name, or a clear refusal. */
export function port(part: Part, side: 'inputs' | 'outputs', name: string): Port {
	const found = part[side].get(name)
	if (!found) {
		const got = [...part[side].keys()].filter((name) => name !== ROWS)
		throw new ModelError(part.folder, `expected ${name} among the graph's ${side}, got ${got.join(', ')}`)
	}
	return found
}
