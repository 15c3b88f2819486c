import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SamplerName } from '../../shared/samplers.ts'
import { uniform } from '../../test/uniform.ts'
import { type Checkpoint, loadCheckpoint, planFor } from '../ldm/checkpoint.ts'
import type { Denoiser, Evaluation } from '../ldm/denoiser.ts'
import type { Drawing } from '../ldm/drawing.ts'
import type { Plan, Row } from '../ldm/plan.ts'
import { asOnCuda, chooseProvider } from '../onnx/provider.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { createBatcher, type Task } from './batcher.ts'
import { measuredLimits } from './limits.ts'
import { readRows, restoreRow, saveRows } from './saved-rows.ts'
import { PATIENCE } from './schedule.ts'
import { steadySizes } from './steady-sizes.ts'

/*
 * Whatever comes in whatever order: orders of all priorities, deadlines, sizes, lengths, samplers and tasks, some of which are canceled on their way, cannot be
 * prepared or are spoilt by NaN, while calls run out of memory. What schedule.ts and batcher.ts promise holds for all of them.
 */

const golden = path.join(import.meta.dirname, '../golden')
let model: string
let here: Checkpoint
let there: Checkpoint
beforeAll(async () => {
	// The smallest network, with an encoder beside it.
	model = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(golden, 'tiny'), model, { recursive: true })
	for (const part of ['vae_encoder', 'vae_decoder']) {
		await cp(path.join(golden, 'stable-diffusion', part), path.join(model, part), { recursive: true })
	}
	const provider = await chooseProvider('cpu', 1)
	here = await loadCheckpoint(model, provider, { milliseconds: 0 })
	there = await loadCheckpoint(model, asOnCuda(provider), { milliseconds: 0 })
})
afterAll(() => rm(model, { recursive: true }))

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const HIGHEST = 2

function dice(seed: number) {
	const draw = uniform(seed)
	const below = (end: number) => Math.floor(draw() * end)
	return {
		below,
		of: <T>(choices: readonly T[]) => choices[below(choices.length)]!,
		chance: (percent: number) => below(100) < percent
	}
}

interface Order {
	readonly drawing: Drawing
	readonly seeds: readonly number[]
	readonly priority: number
	readonly deadline: number | undefined
	/** The tick from which it is there. */
	readonly comes: number
	/** What becomes of it; canceled, and spoilt, after so many evaluations. */
	readonly end: 'drawn' | 'canceled' | 'spoilt' | 'unprepared'
	readonly after: number
	/** After how many evaluations each it is shown as it is. */
	readonly shown: number
	/** Whether a copy is taken halfway, to go on from elsewhere. */
	readonly copied: boolean
}

interface Drawn {
	readonly images: Tensor[]
	/** By picture and evaluation. */
	readonly partials: Readonly<Record<string, Tensor>>
}

function ordersOf(seed: number): Order[] {
	const { below, of, chance } = dice(seed)
	let comes = 0
	return Array.from({ length: 24 }, (): Order => {
		comes += below(3)
		const end = of(['drawn', 'drawn', 'drawn', 'drawn', 'canceled', 'spoilt', 'unprepared'] as const)
		const task = of(['text-to-image', 'text-to-image', 'image-to-image', 'inpainting'] as const)
		const [width, height] = [end === 'unprepared' ? 17 : of([16, 16, 24]), 16]
		const plane = (channels: number, value: () => number): Tensor => ({
			data: Float32Array.from({ length: channels * width * height }, value),
			dims: [channels, height, width]
		})
		return {
			drawing: {
				task,
				prompt: of(['a red cube', 'a large sphere', 'shiny', '']),
				negative_prompt: of([null, 'a cone']),
				width,
				height,
				steps: 2 + below(chance(40) ? 48 : 8),
				guidance: of([1, 3, 7.5]),
				guidance_rescale: of([0, 0.7]),
				sampler: of([null, ...SamplerName.options]),
				eta: null,
				strength: of([0.5, 1]),
				...(task !== 'text-to-image' && { image: plane(3, () => below(256) / 127.5 - 1) }),
				...(task === 'inpainting' && { mask: plane(1, () => below(2)) })
			},
			seeds: Array.from({ length: 1 + below(4) }, () => below(2 ** 32)),
			priority: of([0, 1, HIGHEST, HIGHEST]),
			deadline: of([undefined, below(1_000)]),
			comes,
			end,
			after: below(4),
			shown: 1 + below(12),
			copied: chance(40)
		}
	})
}

/** @param copy where it goes on from, instead of the start */
async function drawAlone({ drawing, seeds, shown }: Order, checkpoint: Checkpoint, copy?: Uint8Array): Promise<Drawn> {
	const plan = await planFor(checkpoint, drawing)
	const saved = copy && readRows('here', copy)
	const drawn = { images: [] as Tensor[], partials: {} as Record<string, Tensor> }
	for (const [n, seed] of seeds.entries()) {
		const row = plan.start(seed)
		const from = saved?.get(n)
		if (from) {
			restoreRow(row, from, plan)
		}
		while (row.k < plan.evaluations) {
			plan.advance(row, await plan.denoiser.predict(plan.evaluate(row)))
			if (row.k % shown === 0 && row.k < plan.evaluations) {
				drawn.partials[`${n} ${row.k}`] = await plan.finish({ ...row, x: row.x0! })
			}
		}
		drawn.images.push(await plan.finish(row))
	}
	return drawn
}

async function check(seed: number, lanes: 1 | 2): Promise<void> {
	const checkpoint = lanes === 1 ? here : there
	const orders = ordersOf(seed)
	let ticks = 0
	/** Of the rows that are there: the tick of their latest turn, or below the highest priority of that of any of theirs. */
	const turns = new Map<Row, { at: number; readonly priority: number }>()
	const rows: WeakRef<Row>[] = []
	const copies = new Map<Order, Uint8Array>()
	let most = 0
	let onTick = Promise.withResolvers<void>()
	const limits = measuredLimits({ guessPositions: 1, measure: false })
	const batcher = createBatcher({
		limits: { ...limits, of: () => ({ most: 6, light: 2 }) },
		lanes,
		...(lanes === 2 && { steady: steadySizes() }),
		onTick() {
			ticks += 1
			onTick.resolve()
			onTick = Promise.withResolvers()
		}
	})

	/** Every third call of more than three does not get its memory. */
	let large = 0
	async function predict(denoiser: Denoiser, evaluations: readonly Evaluation[]): Promise<Tensor[]> {
		if (evaluations.length > 3 && ++large % 3 === 0) {
			throw new Error('Failed to allocate memory for requested buffer of size 123')
		}
		return denoiser.predict(evaluations)
	}

	/** Tells of every turn of a row, and fails where one came late. */
	function watched(plan: Plan, { priority, end, after }: Order): Plan {
		return {
			...plan,
			denoiser: { ...plan.denoiser, predict: (evaluations) => predict(plan.denoiser, evaluations) },
			start(seed) {
				const row = plan.start(seed)
				rows.push(new WeakRef(row))
				turns.set(row, { at: ticks, priority })
				most = Math.max(most, turns.size)
				return row
			},
			evaluate(row) {
				const evaluations = plan.evaluate(row)
				const spoil = ({ data, dims }: Tensor) => ({ data: data.map(() => Number.NaN), dims })
				return end === 'spoilt' && row.k >= Math.min(after, plan.evaluations - 1)
					? evaluations.map(({ x, ...rest }) => ({ ...rest, x: spoil(x) }))
					: evaluations
			},
			advance(row, outputs) {
				const waited = ticks - turns.get(row)!.at
				// Overdue, and then behind those alone that have waited longer, each once; `lanes` calls may have been chosen before.
				expect(waited).toBeLessThanOrEqual(PATIENCE * (1 + HIGHEST - priority) + most + lanes)
				for (const [other, turn] of turns) {
					if (other === row || (turn.priority === priority && priority < HIGHEST)) {
						turn.at = ticks
					}
				}
				plan.advance(row, outputs)
				if (row.k === plan.evaluations) {
					turns.delete(row)
				}
			}
		}
	}

	async function drawAmong(order: Order): Promise<Drawn> {
		const cancel = new AbortController()
		const drawn = { images: [] as Tensor[], partials: {} as Record<string, Tensor> }
		const progress: [done: number, total: number][] = []
		const own: Row[] = []
		let over = false
		try {
			const task: Task = {
				async prepare(pause) {
					const plan = watched(await planFor(checkpoint, order.drawing, pause), order)
					const start = (seed: number) => {
						own.push(plan.start(seed))
						return own.at(-1)!
					}
					return { ...plan, start }
				},
				pictures: order.seeds.map((seed, n) => ({ n, seed })),
				priority: order.priority,
				deadline: order.deadline,
				signal: cancel.signal,
				onProgress(done, total) {
					expect(over).toBe(false)
					progress.push([done, total])
					if (order.end === 'canceled' && done >= Math.min(order.after, total)) {
						over = true
						cancel.abort('canceled')
					}
					if (order.copied && done >= total / 2 && !copies.has(order)) {
						copies.set(order, saveRows('here', batcher.rowsOf(task)))
					}
				},
				wantsPartial: (_, row) => row.k % order.shown === 0,
				onPartial({ n }, step, _, image) {
					expect(over).toBe(false)
					drawn.partials[`${n} ${step}`] = image
				},
				onPicture({ n }, image) {
					expect(over).toBe(false)
					drawn.images[n] = image
				}
			}
			await batcher.develop(task)
			const [, total] = progress[0]!
			expect(progress[0]).toEqual([0, total])
			expect(progress.at(-1)).toEqual([total, total])
			for (const [i, [done, sum]] of progress.entries()) {
				expect(sum).toBe(total)
				expect(done).toBeGreaterThanOrEqual(progress[i - 1]?.[0] ?? 0)
			}
			return drawn
		} finally {
			over = true
			for (const row of own) {
				turns.delete(row)
			}
		}
	}

	const drawn: Promise<PromiseSettledResult<Drawn>[]>[] = []
	for (const order of orders) {
		while (ticks < order.comes && turns.size > 0) {
			await onTick.promise
		}
		drawn.push(Promise.allSettled([drawAmong(order)]))
	}
	for (const [i, order] of orders.entries()) {
		const [result] = await drawn[i]!
		switch (order.end) {
			case 'drawn':
				expect(result).toEqual({ status: 'fulfilled', value: await drawAlone(order, checkpoint) })
				if (order.copied) {
					const { images } = await drawAlone(order, checkpoint, copies.get(order)!)
					expect(result).toMatchObject({ value: { images } })
				}
				break
			case 'canceled':
				expect(result).toMatchObject({ status: 'rejected', reason: 'canceled' })
				break
			case 'spoilt':
				expect(result).toMatchObject({ status: 'rejected', reason: { name: 'NotFinite' } })
				break
			case 'unprepared':
				expect(result).toMatchObject({ status: 'rejected', reason: { message: expect.stringMatching(/^width: expected/) } })
		}
	}
	await batcher.halt()
	expect(batcher.load).toEqual({ active: 0, waiting: 0 })
	await new Promise((resolve) => setImmediate(resolve))
	collectGarbage()
	expect(rows.length).toBeGreaterThan(30)
	expect(rows.filter((row) => row.deref())).toEqual([])
}

test.each([1, 2, 3])('in one lane: orders of seed %i', (seed) => check(seed, 1))
test.each([4, 5, 6])('in two lanes: orders of seed %i', (seed) => check(seed, 2))
