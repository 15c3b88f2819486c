import { isOutOfMemory } from './out-of-memory.ts'
import type { Session } from './session.ts'

/** A graph that is opened anew for each shape of its inputs. */
export interface SessionPerShape extends Session {
	/** Whether there is one for inputs of that shape, as `shapeOf` writes it. */
	isPlanned(shape: string): boolean
}

/** Of one graph: enough for calls of 1, 2, 4 … 128 evaluations. */
const MOST = 8

interface Opened {
	/** Of the inputs of its latest call; empty before the first one. */
	shape: string
	readonly session: Promise<Session>
	/** When it was last used, counted in calls. */
	used: number
}

/** All but each graph's first, of the whole process, whose memory is one; with how to forget each. */
const spare = new Map<Opened, () => void>()
let calls = 0

/**
 * On CUDA ONNX Runtime has cuDNN plan every convolution when its input changes shape, for a second or two, and a session remembers the last plan alone
 * (microsoft/onnxruntime#23006: 30 ms become 500). So each shape has a session of its own, with weights of its own: up to `MOST`, or as many as there is memory for and its file
 * is there. From then on the one that was not used for longest is planned anew. Whoever else wants memory and does not get it has them given up, one after another.
 *
 * @param open opens the graph once more
 */
export async function sessionPerShape(open: () => Promise<Session>): Promise<SessionPerShape> {
	const first: Opened = { shape: '', session: withMemory(open), used: 0 }
	const { inputs, outputs } = await first.session
	const opened = new Set([first])
	let most = MOST

	function pick(shape: string): Opened {
		const known = [...opened].find((one) => one.shape === shape) ?? (first.shape === '' ? first : undefined)
		if (known || opened.size >= most) {
			return known ?? leastUsed(opened)!
		}
		const session = open()
		const added: Opened = { shape, session, used: 0 }
		const forget = () => opened.delete(added)
		opened.add(added)
		session.then(
			() => spare.set(added, forget),
			() => {
				forget()
				most = opened.size
			}
		)
		return added
	}

	/** With what there is when it cannot be opened once more. */
	async function sessionFor(shape: string, chosen = pick(shape)): Promise<Opened> {
		Object.assign(chosen, { shape, used: calls++ })
		return chosen.session.then(
			() => chosen,
			() => sessionFor(shape)
		)
	}

	return {
		inputs,
		outputs,
		isPlanned: (shape) => [...opened].some((one) => one.shape === shape),
		run(feeds, wanted, begins) {
			const shape = shapeOf(feeds)
			const begin = once(begins)
			let chosen: Opened
			return withMemory(
				async () => {
					chosen = await sessionFor(shape)
					return (await chosen.session).run(feeds, wanted, begin)
				},
				() => chosen
			)
		},
		async release() {
			for (const one of opened) {
				const session = await one.session
				spare.delete(one)
				await session.release()
			}
			most = 0 // Nothing is opened any more; who runs it hears that it is gone.
		}
	}
}

export const shapeOf = (inputs: Readonly<Record<string, { readonly dims: readonly number[] }>>): string =>
	Object.entries(inputs)
		.map(([name, { dims }]) => `${name} ${dims}`)
		.sort()
		.join(' | ')

/** `work`, again and again while it wants more memory than there is and there are sessions to give up: not the one that it needs itself. */
async function withMemory<T>(work: () => Promise<T>, needed: () => Opened | undefined = () => undefined): Promise<T> {
	for (;;) {
		try {
			return await work()
		} catch (error) {
			const given = isOutOfMemory(error) && leastUsed([...spare.keys()].filter((one) => one !== needed()))
			if (!given) {
				throw error
			}
			spare.get(given)!()
			spare.delete(given)
			await (await given.session).release()
		}
	}
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
