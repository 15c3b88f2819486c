import { randomUUID } from 'node:crypto'
import type { ResolvedRequest } from '../shared/contract/generation.ts'
import type { Job } from '../shared/queue.ts'
import { type Edge, EdgeRefused, openEdge, WorkEnded } from './edge.ts'
import type { Developed, Engine } from './engine/client.ts'
import { EngineCrashed, EngineError } from './engine/errors.ts'
import type { DevelopedPicture } from './engine/messages.ts'
import { encodePng } from './image/encode.ts'
import { wait } from './wait.ts'

const PROGRESS_MS = 500
/** Times that one generation is begun before a crashing engine is held to be its fault. */
const ENGINE_STARTS = 3
/** Times that one picture is uploaded when the edge does not see it in storage. */
const UPLOADS = 3

/**
 * Works on one generation from `start` to `finish`. Resolves when the edge knows the outcome, or when the work is not ours;
 * rejects when the edge could not be told: its lease will run out, and the edge gives the work to someone else.
 *
 * @param signal abandons the work without a word
 */
export async function workOn(job: Job, engine: Engine, signal: AbortSignal, log: (line: string) => void): Promise<void> {
	// Ends everything that is done for this generation, with its reason.
	const end = new AbortController()
	const stop = () => end.abort(signal.reason)
	signal.addEventListener('abort', stop, { once: true })
	try {
		signal.throwIfAborted()
		await develop(job, engine, end, log)
	} catch (error) {
		if (!(error instanceof WorkEnded)) {
			throw error
		}
		log(`${job.generation}: dropped (${error.message})`)
	} finally {
		signal.removeEventListener('abort', stop)
		end.abort()
	}
}

async function develop(job: Job, engine: Engine, end: AbortController, log: (line: string) => void): Promise<void> {
	const began = performance.now()
	const edge = openEdge(job, end.signal)
	const { request, delivered } = await edge.start(randomUUID())
	const progress = { done: 0, total: request.steps * request.count }
	// Over before `finish`: the edge answers a progress that comes after it with `ended`.
	const drawn = new AbortController()
	void keepTelling(edge, progress, AbortSignal.any([end.signal, drawn.signal])).catch((error) => {
		if (!drawn.signal.aborted) {
			end.abort(error)
		}
	})
	try {
		const drawing = drawAll(request, delivered, engine, edge, progress, end.signal)
		const { inferenceMs, warnings } = await drawing.finally(() => drawn.abort())
		const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
		const pictures = request.count === 1 ? '1 picture' : `${request.count} pictures`
		// Before the edge is told, so that whoever hears of the end from the edge finds the line.
		log(`${job.generation}: ${pictures} in ${seconds(performance.now() - began)}, ${seconds(inferenceMs)} of it inference`)
		await edge.finish({ outcome: 'succeeded', inference_ms: inferenceMs, warnings: [...warnings] })
	} catch (error) {
		if (!isVerdict(error)) {
			throw error
		}
		await edge.finish({ outcome: 'failed', detail: error.message.slice(0, 1000) })
		log(`${job.generation}: failed: ${error.message}`)
	}
}

/** Errors that another node would meet too: the generation has failed. */
const isVerdict = (error: unknown): error is Error =>
	error instanceof EngineError || error instanceof EngineCrashed || (error instanceof EdgeRefused && error.code === 'not-seen')

/** Posts progress until the signal. That renews the lease, also while the engine is busy with others. */
async function keepTelling(edge: Edge, progress: { done: number; total: number }, signal: AbortSignal): Promise<never> {
	for (;;) {
		await wait(PROGRESS_MS, signal)
		await edge.progress(progress)
	}
}

/** Draws and delivers every picture that is not delivered yet. */
async function drawAll(
	request: ResolvedRequest,
	delivered: readonly number[],
	engine: Engine,
	edge: Edge,
	progress: { done: number; total: number },
	end: AbortSignal
): Promise<Pick<Developed, 'inferenceMs' | 'warnings'>> {
	const undeliverable = new AbortController()
	const signal = AbortSignal.any([end, undeliverable.signal])
	const missing = new Set(Array.from({ length: request.count }, (_, n) => n).filter((n) => !delivered.includes(n)))
	const deliveries: Promise<void>[] = []
	for (let start = 1; ; start++) {
		const pictures = [...missing]
		try {
			const drawn = await engine.develop(request, {
				pictures,
				signal,
				onProgress(done, total) {
					const each = total / pictures.length
					progress.total = each * request.count
					progress.done = done + each * (request.count - pictures.length)
				},
				onPicture(picture) {
					missing.delete(picture.n)
					// Its failure ends the drawing of the others.
					deliveries.push(deliver(picture, edge).catch((error) => undeliverable.abort(error)))
				}
			})
			await Promise.all(deliveries)
			signal.throwIfAborted()
			return drawn
		} catch (error) {
			if (!(error instanceof EngineCrashed) || start === ENGINE_STARTS) {
				throw error
			}
		}
	}
}

async function deliver(picture: DevelopedPicture, edge: Edge): Promise<void> {
	const { bytes, contentType, md5 } = await encodePng(picture)
	const upload = { n: picture.n, size: bytes.length, md5, content_type: contentType }
	for (let attempt = 1; ; attempt++) {
		try {
			await edge.put(await edge.upload(upload), bytes)
			await edge.image({ ...upload, width: picture.width, height: picture.height, seed: picture.seed })
			return
		} catch (error) {
			// Storage refused the PUT (its signature may have expired), or lost the object.
			if (!(error instanceof EdgeRefused) || attempt === UPLOADS) {
				throw error
			}
		}
	}
}
