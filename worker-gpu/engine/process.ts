import path from 'node:path'
import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { type Rasters, tensorsOf } from '../image/raster.ts'
import { toRgb } from '../image/rgb.ts'
import { type Checkpoint, loadCheckpoint, planFor } from '../ldm/checkpoint.ts'
import type { Drawing } from '../ldm/drawing.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { type Batcher, createBatcher } from './batcher.ts'
import type { EngineConfig, ErrorMessage, FromEngine, ToEngine } from './messages.ts'

/**
 * The engine's own process, forked by client.ts: `run()` of ONNX Runtime blocks its thread, and a crash in there must not take
 * the node along. It holds nothing that is worth a farewell, so it ends at once when its parent is gone.
 */

const PROGRESS_MS = 500
/**
 * Latent positions a call. On the CPU 16 evaluations at 128 × 128 pixels (f = 8): beyond that it gains next to nothing, and new rows wait
 * longer for the next tick. On CUDA 32 at 512 × 512.
 */
const BATCH_POSITIONS = { cpu: 16 * 16 ** 2, cuda: 32 * 64 ** 2 }

const stopwatch = { milliseconds: 0 }
const checkpoints = new Map<string, Checkpoint>()
const cancels = new Map<number, AbortController>()
let batcher: Batcher

process.on('disconnect', () => process.exit(0))
// Ctrl-C reaches the whole terminal; the parent decides when the engine ends.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('message', (message: ToEngine) => {
	switch (message.type) {
		case 'load':
			void load(message)
			break
		case 'develop':
			void develop(message)
			break
		case 'cancel':
			cancels.get(message.id)?.abort()
			break
	}
})

async function load({ models, modelsDir, provider: choice, threads }: EngineConfig): Promise<void> {
	const began = performance.now()
	try {
		const provider = await chooseProvider(choice, threads)
		for (const model of models) {
			checkpoints.set(model, await loadCheckpoint(path.join(modelsDir, model), provider, stopwatch))
		}
		batcher = createBatcher({ batchPositions: BATCH_POSITIONS[provider.name], inferenceMs: () => stopwatch.milliseconds })
		const { name, reason } = provider
		const loadMs = performance.now() - began
		send({
			type: 'ready',
			report: { provider: name, reason, threads: provider.threads, models: [...checkpoints.keys()], loadMs }
		})
	} catch (error) {
		send({ type: 'unusable', error: errorMessage(error) }, () => process.disconnect())
	}
}

async function develop({ id, request, inputs, pictures }: Extract<ToEngine, { type: 'develop' }>): Promise<void> {
	const cancel = new AbortController()
	cancels.set(id, cancel)
	let warnings: readonly Warning[] = []
	let lastProgress = Number.NEGATIVE_INFINITY
	try {
		const checkpoint = checkpoints.get(request.model)
		if (!checkpoint) {
			throw new RangeError(`model: expected one of ${[...checkpoints.keys()].join(', ')}, got ${request.model}`)
		}
		const { inferenceMs } = await batcher.develop({
			async prepare() {
				const plan = await planFor(checkpoint, drawingOf(request, inputs))
				warnings = plan.warnings ?? []
				return plan
			},
			// Picture n of a request is drawn from its seed + n, in uint32.
			pictures: pictures.map((n) => ({ n, seed: (request.seed + n) >>> 0 })),
			signal: cancel.signal,
			onProgress(done, total) {
				if (performance.now() - lastProgress >= PROGRESS_MS) {
					lastProgress = performance.now()
					send({ type: 'progress', id, done, total })
				}
			},
			onPicture: (picture, image) => send({ type: 'picture', id, picture: { ...picture, ...toRgb(image) } })
		})
		send({ type: 'done', id, inferenceMs, warnings })
	} catch (error) {
		send({ type: 'failed', id, error: errorMessage(error) })
	} finally {
		cancels.delete(id)
	}
}

const drawingOf = (request: ResolvedRequest, inputs: Rasters): Drawing => {
	const { layout, class_label, noise_level } = request
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
