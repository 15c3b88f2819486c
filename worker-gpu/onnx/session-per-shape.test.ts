import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { chooseProvider } from './provider.ts'
import type { Shapes } from './rewritten.ts'
import { openSession, type Session, type Values } from './session.ts'
import { sessionPerShape, shapeOf } from './session-per-shape.ts'

const provider = await chooseProvider('cpu', 1)
const file = path.join(import.meta.dirname, '../golden/scalar-timestep/unet/model.onnx')

const feedsOf = (rows: number): Record<string, Values> => ({
	sample: { type: 'float32', data: new Float32Array(rows * 4 * 8 * 8).fill(0.5), dims: [rows, 4, 8, 8] },
	timestep: { type: 'float32', data: Float32Array.of(7), dims: [] },
	encoder_hidden_states: { type: 'float32', data: new Float32Array(rows * 4 * 16).fill(-0.5), dims: [rows, 4, 16] }
})

const full = () => new Error('BFCArena::AllocateRawInternal: Failed to allocate memory for requested buffer of size 1048576')

/** A device that has room for so many graphs, and for the calls of so many rows beside each missing one; and where `fails` does when it is run. */
function device({ graphs = 100, rows = 100, fails = (_graph: number, _rows: number): boolean => false } = {}) {
	let opened = 0
	const alive = new Set<number>()
	/** By which of the graphs, and of how many rows. */
	const ran: [number, number][] = []
	return {
		alive,
		ran,
		async open(shapes?: Shapes): Promise<Session> {
			if (alive.size >= graphs) {
				throw full()
			}
			const n = opened++
			alive.add(n)
			const session = await openSession(file, { ...provider, shapes }, () => {})
			return {
				...session,
				async run(feeds, wanted, begins) {
					begins()
					const count = feeds.sample!.dims[0]!
					if (count > rows + (graphs - alive.size)) {
						throw full()
					}
					ran.push([n, count])
					if (fails(n, count)) {
						throw new Error('no kernel for that')
					}
					return session.run(feeds, wanted, () => {})
				},
				async release() {
					alive.delete(n)
					await session.release()
				}
			}
		}
	}
}

const run = async (session: Session, ...rows: number[]) => {
	for (const count of rows) {
		await session.run(feedsOf(count), ['out_sample'], () => {})
	}
}
const planned = (session: { isPlanned(shape: string): boolean }, ...rows: number[]) =>
	rows.filter((count) => session.isPlanned(shapeOf(feedsOf(count))))

describe('a graph', () => {
	test('is opened for any shape, and then once for each', async () => {
		const { open, ran } = device()
		const session = await sessionPerShape(open)
		expect(planned(session, 1, 2, 3)).toEqual([])
		await run(session, 2, 1, 2, 3, 1, 2)
		expect(ran.map(([n]) => n)).toEqual([1, 2, 1, 3, 2, 1])
		expect(planned(session, 1, 2, 3, 4)).toEqual([1, 2, 3])
		await session.release()
	})

	test('that fails as it was opened for one shape is run as it was loaded, for that shape from then on; what succeeded before, or fails both ways, fails', async () => {
		let broken = [2]
		const { open, ran, alive } = device({ fails: (graph, rows) => broken.includes(rows) && (graph > 0 || rows === 3) })
		const session = await sessionPerShape(open)
		await run(session, 1, 2, 2)
		expect(ran).toEqual([
			[1, 1],
			[2, 2],
			[0, 2],
			[0, 2]
		])
		broken = [1, 3]
		await expect(run(session, 1)).rejects.toThrow('no kernel for that')
		await expect(run(session, 3)).rejects.toThrow('no kernel for that')
		expect(alive).toEqual(new Set([0, 1, 3]))
		await session.release()
	})

	test('is opened for eight at most; then the one that was not used for longest makes room', async () => {
		const { open, ran, alive } = device()
		const session = await sessionPerShape(open)
		await run(session, 1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 2)
		expect(ran.slice(-3)).toEqual([
			[1, 1],
			[9, 9],
			[10, 2]
		])
		expect(planned(session, 1, 2, 3, 4, 9)).toEqual([1, 2, 4, 9])
		expect(alive.size).toBe(9)
		await session.release()
		expect(alive.size).toBe(0)
	})

	test('is opened no more often than there is memory for', async () => {
		const { open, ran, alive } = device({ graphs: 3 })
		const session = await sessionPerShape(open)
		await run(session, 1, 2, 3, 4, 1)
		expect(ran.map(([n]) => n)).toEqual([1, 2, 3, 4, 5])
		expect(planned(session, 1, 2, 3, 4)).toEqual([1, 4])
		expect(alive.size).toBe(3)
		await session.release()
	})

	test('runs all shapes in one session where there is memory for no second', async () => {
		const { open, ran } = device({ graphs: 1 })
		const session = await sessionPerShape(open)
		await run(session, 1, 2, 1)
		expect(ran.map(([n]) => n)).toEqual([0, 0, 0])
		expect(planned(session, 1, 2)).toEqual([1])
		await session.release()
	})

	test('that is no U-Net runs its first shape as it was opened at first', async () => {
		const { open, ran } = device()
		const session = await sessionPerShape(async (shapes) => {
			const { inputs, ...opened } = await open(shapes)
			return { ...opened, inputs: new Map([...inputs].filter(([name]) => name !== 'timestep')) }
		})
		await run(session, 1, 2, 1)
		expect(ran.map(([n]) => n)).toEqual([0, 1, 0])
		await session.release()
	})
})

test('two calls at once of shapes that take turns for the last memory', async () => {
	const { open, ran, alive } = device({ graphs: 2 })
	const session = await sessionPerShape(open)
	await Promise.all([run(session, 1, 1, 1), run(session, 2, 2, 2)])
	expect(ran).toHaveLength(6)
	expect(alive.size).toBe(2)
	await session.release()
	expect(alive.size).toBe(0)
})

test('two calls at once that both fail in the session of their shape give it up once', async () => {
	const { open, ran, alive } = device({ fails: (graph) => graph > 0 })
	const session = await sessionPerShape(open)
	await Promise.all([run(session, 2), run(session, 2)])
	expect(ran.map(([n]) => n).sort()).toEqual([0, 0, 1, 1])
	expect(alive).toEqual(new Set([0]))
	await session.release()
})

test('a graph that cannot be opened once more goes on with what there is', async () => {
	const { open, ran } = device()
	let gone = false
	const session = await sessionPerShape((shapes) => (gone ? Promise.reject(new Error('ENOENT: no such file')) : open(shapes)))
	await run(session, 1, 2)
	gone = true
	await run(session, 3, 2, 3)
	expect(ran.map(([n]) => n)).toEqual([1, 2, 0, 2, 0])
	await session.release()
})

describe('memory that is wanted elsewhere', () => {
	test('is had by giving up what was not used for longest, and no graph whole', async () => {
		const { open, alive } = device({ graphs: 4 })
		const session = await sessionPerShape(open)
		await run(session, 1, 2, 3, 2)
		const others = [await sessionPerShape(open)]
		expect([...alive]).toEqual([0, 2, 3, 4])
		others.push(await sessionPerShape(open))
		expect([...alive]).toEqual([0, 2, 4, 5])
		others.push(await sessionPerShape(open))
		expect([...alive]).toEqual([0, 4, 5, 6])
		await expect(sessionPerShape(open)).rejects.toThrow('Failed to allocate')
		await run(session, 2, 1)
		await run(others[0]!, 1, 2)
		expect([...alive]).toEqual([0, 4, 5, 6])
		await Promise.all([session, ...others].map(({ release }) => release()))
	})

	test('is had for a call by giving up the others of its own, and last the one that it runs on', async () => {
		const { open, alive, ran } = device({ graphs: 4, rows: 6 })
		const session = await sessionPerShape(open)
		let begun = 0
		await run(session, 1, 2, 3)
		await session.run(feedsOf(8), ['out_sample'], () => {
			begun += 1
		})
		expect(ran.at(-1)).toEqual([4, 8])
		expect([...alive]).toEqual([0, 4])
		expect(begun).toBe(1)
		// From then on there is nothing to be opened for it.
		await run(session, 9, 9)
		expect(ran.slice(-2)).toEqual([
			[0, 9],
			[0, 9]
		])
		expect([...alive]).toEqual([0])
		// What does not fit into all the memory that there is fails, and can be tried in halves.
		await expect(run(session, 10)).rejects.toThrow('Failed to allocate')
		await run(session, 5)
		expect(planned(session, 5)).toEqual([5])
		await session.release()
	})

	test('any other failure is told as it is, and nothing is given up', async () => {
		const { open, alive } = device()
		const session = await sessionPerShape(open)
		await run(session, 1, 2)
		const { timestep: _, ...feeds } = feedsOf(3)
		await expect(session.run(feeds, ['out_sample'], () => {})).rejects.toThrow(/timestep/)
		expect(alive.size).toBe(4)
		await session.release()
	})
})
