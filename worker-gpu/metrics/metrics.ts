import { EdgeRefused, EdgeUnreachable, RequestUnknown, SignatureRefused, StorageSilent } from '../edge-errors.ts'
import { EngineCrashed, EngineHung } from '../engine/errors.ts'
import type { EngineStats } from '../engine/messages.ts'
import { InputUnreadable } from '../image/input-unreadable.ts'
import { NotFinite } from '../onnx/finite.ts'
import { ModelError, ModelNotLoaded } from '../onnx/model-error.ts'
import { histogram, value } from './exposition.ts'

/** What a node counts, for Prometheus. */
export interface Metrics {
	/** The whole page. */
	page(): string
	engine(stats: EngineStats): void
	/** A job came from the queue, where it had waited so many milliseconds; its work ends with the function that is returned. */
	taken(waited: number): () => void
	/** One more picture. */
	delivered(): void
	/** @param type the error's name */
	failed(type: string): void
	/** Pictures are signed with a certificate, as long as it and its chain are valid. */
	signing(subject: string, until: Date): void
}

/** What may end work here; anything else is a fault of ours. */
const expected = [
	InputUnreadable,
	NotFinite,
	EngineCrashed,
	EngineHung,
	ModelError,
	ModelNotLoaded,
	RequestUnknown,
	EdgeRefused,
	SignatureRefused,
	EdgeUnreachable,
	StorageSilent
]

export function createMetrics(): Metrics {
	const rows = value(
		'darkroom_rows',
		'gauge',
		'Pictures on their way: in the last call of the network, and waiting for a seat in it.',
		'state'
	)
	const batch = histogram('darkroom_batch_size', 'Evaluations in a call of the network.', [1, 2, 4, 8, 16, 32, 64, 128, 256])
	const ticks = histogram(
		'darkroom_tick_seconds',
		'A call of the network with all that belongs to it.',
		[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
	)
	const evaluations = value('darkroom_evaluations_total', 'counter', 'Evaluations of the network.')
	const inference = value(
		'darkroom_inference_seconds_total',
		'counter',
		'Time inside ONNX Runtime; its rate is the share of time that the device is given work.'
	)
	const queueWait = histogram(
		'darkroom_queue_wait_seconds',
		'From the queue until a node took it.',
		[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
	)
	const generations = value('darkroom_generations', 'gauge', 'Generations that this node works on.')
	const pictures = value('darkroom_pictures_total', 'counter', 'Pictures delivered.')
	const failures = value(
		'darkroom_failures_total',
		'counter',
		'Generations that failed or were given up here, by type of error.',
		'type',
		expected.map(({ name }) => name)
	)
	const certificate = value(
		'darkroom_certificate_expiry_timestamp_seconds',
		'gauge',
		'When the certificate that signs pictures expires; from then on they go out unsigned.',
		'subject'
	)
	const memory = value('darkroom_memory_bytes', 'gauge', 'Resident memory.', 'process')
	const all = [rows, batch, ticks, evaluations, inference, queueWait, generations, pictures, failures, certificate, memory]

	return {
		page() {
			memory.set(process.memoryUsage.rss(), 'consumer')
			return `${all.flatMap((metric) => metric.lines()).join('\n')}\n`
		},
		engine({ active, waiting, ticks: latest, inferenceMs, memory: bytes }) {
			rows.set(active, 'active')
			rows.set(waiting, 'waiting')
			for (const { size, ms } of latest) {
				batch.observe(size)
				ticks.observe(ms / 1000)
				evaluations.add(size)
			}
			inference.add(inferenceMs / 1000)
			memory.set(bytes, 'engine')
		},
		taken(waited) {
			queueWait.observe(Math.max(0, waited) / 1000)
			generations.add(1)
			return () => generations.add(-1)
		},
		delivered: () => pictures.add(1),
		failed: (type) => failures.add(1, type),
		signing: (subject, until) => certificate.set(until.getTime() / 1000, subject)
	}
}
