import { randomUUID } from 'node:crypto'
import { mostCheckpointBytes, type StartAnswer } from '../shared/contract/callbacks.ts'
import type { Job } from '../shared/queue.ts'
import { type Edge, openEdge } from './edge.ts'
import { EdgeRefused, EdgeUnreachable, RequestUnknown, SignatureRefused, StorageSilent, WorkEnded } from './edge-errors.ts'
import type { Developed, Engine } from './engine/engine.ts'
import { EngineCrashed, EngineError, EngineHalted, EngineHung } from './engine/errors.ts'
import type { DevelopedPicture, EnginePartial, EnginePreview } from './engine/messages.ts'
import type { Sign } from './image/credentials.ts'
import { type Encoded, encodePicture } from './image/encode.ts'
import { InputUnreadable } from './image/input-unreadable.ts'
import { encodePartial, encodePreview } from './image/preview.ts'
import { readInputs } from './inputs.ts'
import { expectKnown } from './known.ts'
import { wait } from './wait.ts'

const PROGRESS_MS = 500
/** From one checkpoint to the next. With the age of the rows and their way to storage, a node that vanishes has done 5 s of work for nothing at most. */
const CHECKPOINT_MS = 4_000
/** Longer than most outages of storage. */
const PERSISTENCE_MS = 2 * 3_600_000
/** Leases without any answer of storage's after which work is handed back: others may reach it. */
const SILENCES = 4
/** Before work that is not understood is handed back: if it comes here again, then not too often. Less than a lease. */
const PUZZLED_MS = 5_000
/** Previews in one post. */
const MOST_PREVIEWS = 4
/** Milliseconds after which a URL is signed again whose signature storage does not take; at first one second, and doubled each time. */
const SIGNATURE_REST_MS = 15_000
/**
 * Times that one picture is uploaded when storage refuses it, or the edge does not see it there; and milliseconds before the second, doubled before the third.
 * R2 shows at once what it has taken (developers.cloudflare.com/r2/reference/consistency): what is not seen then, something else has taken.
 */
const UPLOADS = 3
const UPLOAD_REST_MS = 1_000

/** What generations are worked on with. */
export interface Tools {
	readonly engine: Engine
	/** Puts a manifest into each picture. */
	readonly sign?: Sign | undefined
	log(line: string): void
	/** Of each picture that was drawn and delivered here, whatever becomes of the others. */
	onDelivered(): void
}

/**
 * Works on one generation from `start` to `finish`. Resolves when the edge knows the outcome, with the error's name where it failed, or when the work is not ours;
 * rejects when the edge could not be told: its lease will run out, and the edge gives the work to someone else.
 *
 * @param signal abandons the work without a word
 */
export async function workOn(job: Job, tools: Tools, signal: AbortSignal): Promise<string | undefined> {
	// Ends everything that is done for this generation, with its reason.
	const end = new AbortController()
	const log = (line: string) => tools.log(`${job.generation}: ${line}`)
	const stop = () => end.abort(signal.reason)
	signal.addEventListener('abort', stop, { once: true })
	try {
		signal.throwIfAborted()
		return await develop(job, { ...tools, log }, end)
	} catch (error) {
		if (!(error instanceof WorkEnded)) {
			throw error
		}
		log(`dropped: ${error.message}`)
		return undefined
	} finally {
		signal.removeEventListener('abort', stop)
		end.abort()
	}
}

/** How far it has got; the engine says so, the edge is told. */
interface Course {
	done: number
	total: number
	/** From which the unfinished pictures can go on. */
	rows?: Uint8Array<ArrayBuffer>
	/** Partial images that are on their way. */
	shown: Promise<void>
	/** Not told yet. */
	previews: readonly EnginePreview[]
	watch(watched: boolean): void
}

async function develop(job: Job, tools: Tools, end: AbortController): Promise<string | undefined> {
	const { log } = tools
	const began = performance.now()
	const edge = openEdge(job, end.signal)
	const run = randomUUID()
	let granted: StartAnswer
	try {
		granted = await edge.start(run)
		expectKnown(granted.request)
	} catch (error) {
		if (!(error instanceof RequestUnknown)) {
			throw error
		}
		log(`${error.message}; it is left to nodes of a newer version`)
		await wait(PUZZLED_MS, end.signal)
		await edge.handBack()
		return error.name
	}
	const { request } = granted
	const course: Course = { done: 0, total: request.steps * request.count, shown: Promise.resolve(), previews: [], watch() {} }
	// Over before `finish`: the edge answers a progress that comes after it with `ended`.
	const drawn = new AbortController()
	const during = AbortSignal.any([end.signal, drawn.signal])
	for (const telling of [keepTelling(edge, course, during), keepCheckpoints(edge, course, during)]) {
		void telling.catch((error) => {
			if (!drawn.signal.aborted) {
				end.abort(error)
			}
		})
	}
	try {
		const drawing = drawAll(granted, run, tools, edge, course, end.signal)
		const { inferenceMs, warnings } = await drawing.finally(() => drawn.abort())
		const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
		const pictures = request.count === 1 ? '1 picture' : `${request.count} pictures`
		// Before the edge is told, so that whoever hears of the end from the edge finds the line.
		log(`${pictures} in ${seconds(performance.now() - began)}, ${seconds(inferenceMs)} of it inference`)
		await edge.finish({ outcome: 'succeeded', inference_ms: inferenceMs, warnings: [...warnings] })
		return undefined
	} catch (error) {
		if (error instanceof EngineHalted) {
			await handBack(edge, error.rows)
			log('handed back')
			return undefined
		}
		if (error instanceof StorageSilent || (error as Error).name === 'ModelNotLoaded') {
			await handBack(edge, course.rows)
			throw error
		}
		if (!isVerdict(error)) {
			throw error
		}
		const reason = error instanceof InputUnreadable && ({ reason: 'input-unreadable' } as const)
		await edge.finish({ outcome: 'failed', detail: error.message.slice(0, 1000), ...reason })
		log(`failed: ${error.message}`)
		return error.name
	}
}

/** Errors that another node would meet too: the generation has failed. What is wrong with a model is this node's trouble, and its paths nobody's business. */
const isVerdict = (error: unknown): error is Error =>
	error instanceof InputUnreadable ||
	(error instanceof EngineError && error.name !== 'ModelError') ||
	error instanceof EngineCrashed ||
	error instanceof EngineHung ||
	(error instanceof EdgeRefused && error.code === 'not-seen')

/** The node is to stop, is cut off from storage, or cannot load the model: whoever comes next goes on from these rows. */
async function handBack(edge: Edge, rows: Uint8Array | undefined): Promise<void> {
	if (rows) {
		// An older checkpoint, or none, does as well; it only takes longer.
		await edge.checkpoint(new Uint8Array(rows)).catch(unlessEnded)
	}
	await edge.handBack()
}

/** Posts progress until the signal. That renews the lease, also while the engine is busy with others. */
async function keepTelling(edge: Edge, course: Course, signal: AbortSignal): Promise<never> {
	for (;;) {
		await wait(PROGRESS_MS, signal)
		const { done, total } = course
		const previews = course.previews.slice(0, MOST_PREVIEWS).map(async ({ n, step, ...image }) => {
			return { n, step, content_type: 'image/webp' as const, data: await encodePreview(image) }
		})
		course.previews = []
		course.watch(await edge.progress({ done, total, ...(previews.length > 0 && { previews: await Promise.all(previews) }) }))
	}
}

async function keepCheckpoints(edge: Edge, course: Course, signal: AbortSignal): Promise<never> {
	for (let kept: Uint8Array | undefined; ; ) {
		await wait(CHECKPOINT_MS, signal)
		const { rows, shown } = course
		await shown // They say that it is.
		if (rows && rows !== kept && rows.length <= mostCheckpointBytes) {
			await edge.checkpoint(rows).catch(unlessEnded)
			kept = rows
		}
	}
}

/** Work goes on without the call that failed, but not after its end. */
function unlessEnded(error: unknown): void {
	if (error instanceof WorkEnded) {
		throw error
	}
}

/** Draws and delivers every picture that is not delivered yet. */
async function drawAll(
	granted: StartAnswer,
	run: string,
	{ engine, sign, log, onDelivered }: Tools,
	edge: Edge,
	course: Course,
	end: AbortSignal
): Promise<Pick<Developed, 'inferenceMs' | 'warnings'>> {
	const { request, delivered, priority, deadline } = granted
	const persist: Persist = (call) => persistently(call, end, log)
	let latest = granted
	const reading = <T>(read: () => Promise<T>): Promise<T> =>
		persist(async () => {
			try {
				return await read()
			} catch (error) {
				// Its URLs are signed anew when work is granted, to whom it is granted already too.
				latest = error instanceof SignatureRefused ? await edge.start(run) : latest
				throw error
			}
		})
	const inputs = await reading(() => readInputs(latest, edge.read))
	const undeliverable = new AbortController()
	const signal = AbortSignal.any([end, undeliverable.signal])
	const pictures = Array.from({ length: request.count }, (_, n) => n).filter((n) => !delivered.includes(n))
	// What an earlier attempt had got to. Where it cannot be read, the pictures begin anew.
	const kept = async () => (latest.checkpoint === undefined ? undefined : edge.read(latest.checkpoint, mostCheckpointBytes))
	const rows = await reading(kept).catch((error: Error) => {
		end.throwIfAborted()
		if (error instanceof StorageSilent) {
			throw error
		}
		log(`begins anew: ${error.message}`)
		return undefined
	})
	const deliveries: Promise<void>[] = []
	let fresh = true
	try {
		return await engine.develop(request, {
			pictures,
			inputs,
			priority,
			expiresIn: deadline,
			rows,
			signal,
			onProgress({ done, total, rows, previews, watch }) {
				const each = total / pictures.length
				course.total = each * request.count
				course.done = done + each * (request.count - pictures.length)
				course.rows = rows as Uint8Array<ArrayBuffer>
				course.previews = previews
				course.watch = watch
				if (fresh && rows !== undefined && done > 0) {
					log(`goes on from a checkpoint, ${Math.round(course.done)} of ${Math.round(course.total)} evaluations done`)
				}
				fresh = false
			},
			onPartial(partial) {
				// One after the other, and each before its picture. The drawing goes on without one that cannot be told.
				course.shown = course.shown.then(() => tellPartial(partial, edge, course)).catch(unlessEnded)
				course.shown.catch((error) => undeliverable.abort(error))
			},
			onPicture(picture) {
				const before = course.shown
				const delivery = async () => {
					await before
					const encoded = await encodePicture(picture, request, sign)
					if (sign && !encoded.isSigned) {
						log(`picture ${picture.n} is not signed, for the certificate has expired`)
					}
					await deliver(encoded, picture, edge, persist, end)
					onDelivered()
				}
				// Its failure ends the drawing of the others.
				deliveries.push(delivery().catch((error) => undeliverable.abort(error)))
			}
		})
	} finally {
		// Also those of a halted engine: what is delivered need not be drawn again, and what is shown is not shown again.
		await Promise.all([...deliveries, course.shown.catch(() => {})])
		signal.throwIfAborted()
	}
}

async function tellPartial({ n, index, step, ...image }: EnginePartial, edge: Edge, { done, total }: Course): Promise<void> {
	const partial_image = { n, index, step, content_type: 'image/webp' as const, data: await encodePartial(image) }
	await edge.progress({ done, total, partial_image })
}

type Persist = <T>(call: () => Promise<T>) => Promise<T>

/**
 * Storage may be down, or its keys be turned, for longer than a lease lasts, and a generation has few attempts: calls that need it are tried for as
 * long as the work is ours, which the edge says in its answers to progress, but not for ever, for what fails may be this work alone, or this node.
 */
async function persistently<T>(call: () => Promise<T>, end: AbortSignal, log: (line: string) => void): Promise<T> {
	const until = performance.now() + PERSISTENCE_MS
	let silences = 0
	for (let rest = 1_000; ; ) {
		try {
			return await call()
		} catch (error) {
			end.throwIfAborted()
			const isRefused = error instanceof SignatureRefused
			silences = error instanceof StorageSilent ? silences + 1 : 0
			if (!(isRefused || error instanceof EdgeUnreachable) || silences === SILENCES || performance.now() > until) {
				throw error
			}
			log(`${error.message}; tries on`)
			if (isRefused) {
				await wait(rest, end)
				rest = Math.min(rest * 2, SIGNATURE_REST_MS)
			}
		}
	}
}

async function deliver(
	{ bytes, contentType, md5 }: Encoded,
	picture: DevelopedPicture,
	edge: Edge,
	persist: Persist,
	end: AbortSignal
): Promise<void> {
	const upload = { n: picture.n, size: bytes.length, md5, content_type: contentType }
	const image = { ...upload, width: picture.width, height: picture.height, seed: picture.seed }
	for (let attempt = 1; ; attempt++) {
		try {
			await persist(async () => edge.put(await edge.upload(upload), bytes))
			await persist(() => edge.image(image))
			return
		} catch (error) {
			// Storage refused the PUT, or lost the object.
			if (!(error instanceof EdgeRefused) || attempt === UPLOADS) {
				throw error
			}
			await wait(UPLOAD_REST_MS * attempt, end)
		}
	}
}
