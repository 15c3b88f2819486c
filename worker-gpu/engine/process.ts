import { createHash } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import path from 'node:path'
import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { type Rasters, tensorsOf } from '../image/raster.ts'
import { toRgb } from '../image/rgb.ts'
import { type Checkpoint, loadCheckpoint, planFor, readFamily } from '../ldm/checkpoint.ts'
import type { Drawing } from '../ldm/drawing.ts'
import { readFacts } from '../ldm/facts.ts'
import { lentParts } from '../ldm/model-folder.ts'
import { codeHash, modelHash } from '../ldm/model-hash.ts'
import type { Row } from '../ldm/plan.ts'
import { isDeviceLost } from '../onnx/device-lost.ts'
import { ModelNotLoaded } from '../onnx/model-error.ts'
import type { Part } from '../onnx/part.ts'
import { asOnCuda, chooseProvider } from '../onnx/provider.ts'
import { type Batcher, createBatcher, type Task } from './batcher.ts'
import { openLimitStore } from './limit-store.ts'
import { measuredLimits } from './limits.ts'
import type { DevelopMessage, EngineConfig, EnginePreview, ErrorMessage, FromEngine, ToEngine } from './messages.ts'
import { type PreviewMap, previewMap } from './preview.ts'
import { RowsRefused, readRows, restoreRow, type SavedRow, saveRows } from './saved-rows.ts'
import { signsOfLife } from './signs-of-life.ts'
import { steadySizes } from './steady-sizes.ts'

/**
 * The engine's own process, forked by client.ts: `run()` of ONNX Runtime blocks its thread, and a crash in there must not take
 * the node along. Its parent keeps the latest copy of every row, so it may end at any time, and does when its parent is gone.
 */

const PROGRESS_MS = 500
const STATS_MS = 1_000
/**
 * Latent positions a call, until its limit is measured. On the CPU 16 evaluations at 128 × 128 pixels (f = 8): beyond that it gains next to
 * nothing, and new rows wait longer for the next tick. On CUDA 32 at 512 × 512.
 */
const GUESS_POSITIONS = { cpu: 16 * 16 ** 2, cuda: 32 * 64 ** 2 }

interface Model {
	readonly checkpoint: Checkpoint
	readonly previews: PreviewMap
	/** Tells it from other models and versions of it and of the code that walks, as far as rows differ. */
	readonly hash: string
}

interface Work {
	readonly task: Task
	readonly cancel: AbortController
	/** What its rows belong to; known once it is prepared, and so before there are rows. */
	origin: string
	watched: boolean
}

const signs = signsOfLife(send)
/** Those that are served: each is loaded when it is first asked for, if it was not at the start. */
const models = new Map<string, () => Promise<Model>>()
const code = codeHash()
const works = new Map<number, Work>()
let batcher: Batcher

// An exit would wait for the thread of a call.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// Ctrl-C reaches the whole terminal, and so does its end; the parent decides when the engine ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	process.on(signal, () => {})
}
process.on('message', (message: ToEngine) => {
	switch (message.type) {
		case 'load':
			void load(message)
			break
		case 'develop':
			void develop(message)
			break
		case 'cancel':
			works.get(message.id)?.cancel.abort()
			break
		case 'watch':
			watch(message)
			break
		case 'halt':
			void halt()
			break
	}
})

async function load(config: EngineConfig): Promise<void> {
	const { models: ids, loaded = ids, modelsDir, provider: choice, threads, cacheDir, measureLimits } = config
	const began = performance.now()
	try {
		const chosen = await chooseProvider(choice, threads)
		const provider = config.asOnCuda ? asOnCuda(chosen) : chosen
		const parts = new Map<string, Promise<Part>>()
		for (const id of ids) {
			const folder = path.join(modelsDir, id)
			// What can be told without loading it is told at the start.
			await readFamily(folder)
			await lentParts(folder)
			models.set(
				id,
				once(async () => {
					const loads = performance.now()
					const model = {
						checkpoint: await loadCheckpoint(folder, provider, signs.stopwatch, parts),
						previews: previewMap((await readFacts(folder)).preview),
						hash: `${await modelHash(folder)} ${await code}`
					}
					send({ type: 'loaded', model: id, loadMs: performance.now() - loads })
					return model
				})
			)
		}
		for (const id of loaded) {
			await models.get(id)!()
		}
		batcher = createBatcher({
			limits: measuredLimits({
				guessPositions: GUESS_POSITIONS[provider.name],
				measure: measureLimits ?? true,
				plansShapes: provider.plansShapes,
				store: cacheDir === undefined ? undefined : openLimitStore(cacheDir, provider)
			}),
			onCall: (tasks) => signs.tellCalls([...works].filter(([, { task }]) => tasks.has(task)).map(([id]) => id)),
			onTick: signs.ticked,
			steady: provider.plansShapes ? steadySizes() : undefined,
			lanes: provider.ownThread ? 2 : 1
		})
		setInterval(() => signs.tellStats(batcher.load), STATS_MS)
		const { name, reason } = provider
		const loadMs = performance.now() - began
		send({ type: 'ready', report: { provider: name, reason, threads: provider.threads, models: [...models.keys()], loadMs } })
		// Where NODE_COMPILE_CACHE is set. Others write theirs when they end; this process is killed.
		flushCompileCache()
	} catch (error) {
		send({ type: 'unusable', error: errorMessage(error) }, () => process.disconnect())
	}
}

/** `make`, but its promise is made once, and anew only after it failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
	let made: Promise<T> | undefined
	return () => {
		made ??= make().catch((error) => {
			made = undefined
			throw error
		})
		return made
	}
}

async function develop(message: DevelopMessage): Promise<void> {
	const { id, request, inputs, pictures, priority, expiresIn, watched } = message
	let warnings: readonly Warning[] = []
	let previews: PreviewMap
	let saved: ReadonlyMap<number, SavedRow>
	try {
		const serve = models.get(request.model)
		if (!serve) {
			throw new RangeError(`model: expected one of ${[...models.keys()].join(', ')}, got ${request.model}`)
		}
		const cancel = new AbortController()
		let lastProgress = Number.NEGATIVE_INFINITY
		let evaluations = 0
		const partialAt = ({ k }: Pick<Row, 'k'>) => partialIndex(request.partial_images ?? 0, k, evaluations)
		const task: Task = {
			async prepare(pause) {
				const model = await serve().catch(({ message }: Error) => {
					throw new ModelNotLoaded(message)
				})
				previews = model.previews
				work.origin = createHash('sha256')
					.update(JSON.stringify([model.hash, request]))
					.digest('hex')
				saved = savedRows(message, work.origin)
				const plan = await planFor(model.checkpoint, drawingOf(request, inputs), pause)
				warnings = [...Object.values(inputs).flatMap(({ warning }) => warning ?? []), ...(plan.warnings ?? [])]
				evaluations = plan.evaluations
				return plan
			},
			// Picture n of a request is drawn from its seed + n, in uint32.
			pictures: pictures.map((n) => ({ n, seed: (request.seed + n) >>> 0 })),
			priority,
			deadline: expiresIn === undefined ? undefined : performance.now() + expiresIn,
			signal: cancel.signal,
			restore({ n }, row, plan) {
				const rows = saved.get(n)
				if (rows) {
					ignoring(id, () => restoreRow(row, rows, plan))
				}
			},
			onProgress(done, total) {
				if (performance.now() - lastProgress < PROGRESS_MS) {
					return
				}
				lastProgress = performance.now()
				const live = batcher.rowsOf(task)
				const shown = work.watched && previews.ready ? live.flatMap(({ n, row }) => previewOf(previews, n, row)) : []
				send({ type: 'progress', id, done, total, rows: saveRows(work.origin, live), previews: shown })
			},
			// Asked for; or where nothing says how a latent looks, and one is decoded to learn it from.
			wantsPartial: (_, row) => partialAt(row) !== undefined || (work.watched && !previews.ready),
			onPartial({ n }, step, x0, image) {
				previews.learn(x0, image)
				const index = partialAt({ k: step })
				if (index !== undefined) {
					send({ type: 'partial', id, partial: { n, index, step, ...toRgb(image) } })
				}
			},
			onPicture(picture, image, row) {
				previews.learn(row.x, image)
				send({ type: 'picture', id, picture: { ...picture, ...toRgb(image) } })
			}
		}
		const work: Work = { task, cancel, origin: '', watched }
		works.set(id, work)
		const { inferenceMs } = await batcher.develop(task)
		send({ type: 'done', id, inferenceMs, warnings })
	} catch (error) {
		if (isDeviceLost(error)) {
			// Whoever asks next would be told the same; a fresh process goes on with the rows.
			process.kill(process.pid, 'SIGKILL')
		}
		// Who has canceled does not listen any more, and is not to take this for a sign of life.
		if (!works.get(id)?.cancel.signal.aborted) {
			send({ type: 'failed', id, error: errorMessage(error) })
		}
	} finally {
		works.delete(id)
	}
}

function savedRows({ id, rows }: DevelopMessage, origin: string): Map<number, SavedRow> {
	return (rows && ignoring(id, () => readRows(origin, rows))) ?? new Map()
}

/** What cannot be gone on with begins anew. */
function ignoring<T>(id: number, use: () => T): T | undefined {
	try {
		return use()
	} catch (error) {
		if (!(error instanceof RowsRefused)) {
			throw error
		}
		send({ type: 'ignored', id, reason: error.message })
		return undefined
	}
}

/**
 * Which of `wanted` partial images is due after `k` of `evaluations`, if one is: they are spread evenly, each after an evaluation of its own, and
 * the last evaluation is the picture's.
 */
function partialIndex(wanted: number, k: number, evaluations: number): number | undefined {
	const spans = Math.min(wanted + 1, evaluations)
	const passed = (k: number) => Math.floor((k * spans) / evaluations)
	return k < evaluations && passed(k) > passed(k - 1) ? passed(k) - 1 : undefined
}

const previewOf = (previews: PreviewMap, n: number, { x0, k }: Row): EnginePreview[] =>
	x0 ? [{ n, step: k, ...toRgb(previews.colours(x0)) }] : []

function watch({ id, watched }: Extract<ToEngine, { type: 'watch' }>): void {
	const work = works.get(id)
	if (work) {
		work.watched = watched
	}
}

async function halt(): Promise<void> {
	await batcher.halt()
	const rows = Array.from(works, ([id, { task, origin }]) => ({ id, live: batcher.rowsOf(task), origin }))
	send({
		type: 'halted',
		rows: rows.filter(({ live }) => live.length > 0).map(({ id, live, origin }) => ({ id, rows: saveRows(origin, live) }))
	})
}

const drawingOf = (request: ResolvedRequest, inputs: Rasters): Drawing => {
	const { layout, class_label, image_guidance, control_scale, control_start, control_end, noise_level } = request
	return {
		task: request.task ?? 'text-to-image',
		prompt: request.prompt,
		negative_prompt: request.negative_prompt ?? null,
		width: request.width,
		height: request.height,
		steps: request.steps,
		guidance: request.guidance,
		guidance_rescale: request.guidance_rescale ?? 0,
		sampler: request.sampler ?? null,
		eta: request.eta ?? null,
		strength: request.strength ?? 1,
		...(layout && { layout: layout.map(({ label, box }) => ({ label, box: box as [number, number, number, number] })) }),
		...(class_label !== undefined && { class_label }),
		...(image_guidance !== undefined && { image_guidance }),
		...(control_scale !== undefined && { control_scale }),
		...(control_start !== undefined && { control_start }),
		...(control_end !== undefined && { control_end }),
		...(noise_level !== undefined && { noise_level }),
		...tensorsOf(inputs)
	}
}

function send(message: FromEngine, sent = () => {}): void {
	// Without a parent there is nobody to tell; 'disconnect' ends the process.
	if (process.connected) {
		process.send?.(message, sent)
	}
}

function errorMessage(error: unknown): ErrorMessage {
	const { name, message } = error instanceof Error ? error : new Error(String(error))
	return { name, message }
}
