import { isOutOfMemory } from './out-of-memory.ts'
import type { Shapes } from './rewritten.ts'
import type { Ran, Session, Values } from './session.ts'

/** A graph that is opened anew for each shape of its inputs. */
export interface SessionPerShape extends Session {
	/** Whether there is one for inputs of that shape, as `shapeOf` writes it. */
	isPlanned(shape: string): boolean
}

/** Of one graph, beside the one for any shape: enough for calls of 1, 2, 4 … 128 evaluations. */
const MOST = 8

interface Opened {
	readonly shape: string
	readonly session: Promise<Session>
	/** When it was last used, counted in calls, and by how many calls it is now. */
	used: number
	users: number
	/** Whether a call of it has succeeded. */
	proven: boolean
	/** Whether it was given up, by `forget`. */
	forgotten: boolean
	forget(): void
}

/** Those of one shape, of the whole process, whose memory is one. */
const spare = new Set<Opened>()
let calls = 0

/**
 * On CUDA ONNX Runtime has cuDNN plan every convolution when its input changes shape, for a second or two, and a session remembers the last plan alone
 * (microsoft/onnxruntime#23006: 30 ms become 500). So each shape has a session of its own, with weights of its own: up to `MOST`, of which the one that was not used for
 * longest makes room, or as many as there is memory for. It is opened for that shape alone, so that nothing computes with shapes while a call of one evaluation waits
 * for every node to be launched. Whoever else wants memory and does not get it has them given up, one after another.
 *
 * The one that is opened first, when no shape is known, tells what is wrong with a graph, and stays: it runs what can have no session of its own. The first shape of all
 * but U-Nets, which alone are told a timestep, it runs too: what is run once a picture is not worth its weights twice.
 *
 * @param open opens the graph once more, for any shape or for one
 */
export async function sessionPerShape(open: (shapes?: Shapes) => Promise<Session>): Promise<SessionPerShape> {
	const whole = await withMemory(() => open())
	const { inputs, outputs } = whole
	/** Of its latest call; empty before the first one. */
	let planned = ''
	const opened = new Map<string, Opened>()
	/** Shapes whose calls find no memory beside weights that are there twice, or fail where their session does not. */
	const shared = new Set<string>()
	let most = MOST

	/** Undefined: the one for any shape. */
	function pick(shape: string, feeds: Readonly<Record<string, Values>>): Opened | undefined {
		const known = opened.get(shape)
		if (known || most === 0 || shape === planned || shared.has(shape) || (planned === '' && !inputs.has('timestep'))) {
			return known
		}
		if (opened.size < most) {
			return add(shape, feeds)
		}
		const idle = leastUsed([...opened.values()].filter(({ users }) => users === 0))
		return idle && add(shape, feeds, giveUp(idle))
	}

	function add(shape: string, feeds: Readonly<Record<string, Values>>, after = Promise.resolve()): Opened {
		const shapes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]))
		const added: Opened = {
			shape,
			session: after.then(() => open(shapes)),
			used: 0,
			users: 0,
			proven: false,
			forgotten: false,
			forget() {
				opened.delete(shape)
				added.forgotten = true
			}
		}
		opened.set(shape, added)
		added.session.then(
			() => !added.forgotten && spare.add(added),
			(error) => {
				added.forget()
				most = isOutOfMemory(error) ? opened.size : 0
			}
		)
		return added
	}

	return {
		inputs,
		outputs,
		isPlanned: (shape) => shape === planned || opened.has(shape),
		run(feeds, wanted, begins) {
			const shape = shapeOf(feeds)
			const begin = once(begins)
			let chosen: Opened | undefined
			const attempt = async (): Promise<Ran> => {
				if (chosen?.forgotten) {
					shared.add(shape)
				}
				const own = pick(shape, feeds)
				chosen = own
				const runWhole = () => {
					planned = shape
					return whole.run(feeds, wanted, begin)
				}
				if (!own) {
					return runWhole()
				}
				own.used = calls++
				own.users += 1
				try {
					const session = await own.session.catch(() => undefined)
					if (session && !own.forgotten) {
						const ran = await session.run(feeds, wanted, begin)
						own.proven = true
						return ran
					}
				} catch (error) {
					if (own.proven || isOutOfMemory(error)) {
						throw error
					}
					// Its graph may be what is wrong: it is another than the one that was loaded first.
					const ran = await runWhole()
					shared.add(shape)
					await giveUp(own)
					return ran
				} finally {
					own.users -= 1
				}
				chosen = undefined // It cannot be opened, or someone else wanted its memory meanwhile.
				return attempt()
			}
			return withMemory(attempt, () => chosen)
		},
		async release() {
			most = 0 // Nothing is opened any more; who runs it hears that it is gone.
			for (const one of [...opened.values()]) {
				await giveUp(one)
			}
			await whole.release()
		}
	}
}

export const shapeOf = (inputs: Readonly<Record<string, { readonly dims: readonly number[] }>>): string =>
	Object.entries(inputs)
		.map(([name, { dims }]) => `${name} ${dims}`)
		.sort()
		.join(' | ')

/** `work`, again and again while it wants more memory than there is and there are sessions to give up: the one that it needs itself last. */
async function withMemory<T>(work: () => Promise<T>, needed: () => Opened | undefined = () => undefined): Promise<T> {
	for (;;) {
		try {
			return await work()
		} catch (error) {
			const own = needed()
			const given =
				isOutOfMemory(error) && (leastUsed([...spare].filter((one) => one !== own)) ?? (own?.forgotten ? undefined : own))
			if (!given) {
				throw error
			}
			await giveUp(given)
		}
	}
}

/** Once: who else has found it wanting has nothing left to do. */
async function giveUp(one: Opened): Promise<void> {
	if (one.forgotten) {
		return
	}
	one.forget()
	spare.delete(one)
	const session = await one.session.catch(() => undefined)
	await session?.release()
}

const leastUsed = (all: Iterable<Opened>): Opened | undefined => [...all].sort((a, b) => a.used - b.used)[0]

function once(tell: () => void): () => void {
	let told = false
	return () => {
		if (!told) {
			told = true
			tell()
		}
	}
}
