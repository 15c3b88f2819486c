import { isTerminal, type ResolvedRequest, type Status } from '../../shared/contract/generation.ts'
import type { Priority } from '../../shared/contract/terms.ts'
import { type Failure, failureOf } from './failures.ts'
import type { Snapshot } from './snapshot.ts'

export interface Row extends Record<string, SqlStorageValue> {
	id: string
	request: string
	status: Status
	epoch: number
	run: string | null
	lease_until: number | null
	done: number | null
	total: number | null
	inference_ms: number | null
	failure: Failure | null
	failure_detail: string | null
	created_at: number
	started_at: number | null
	completed_at: number | null
	priority: Priority
	deadline: number | null
	start_deadline: number | null
	url_ttl: number
	deleted_at: number | null
	checkpointed: number | null
	lost: number
	reached: number
	warnings: string
	key: string | null
	model: string
	count: number
	price: number
	refunded: number
	seen_at: number | null
	place: number | null
	removed_at: number | null
	webhook: string | null
}

/** What of a row is the same in each new one. */
export const fresh = {
	status: 'queued',
	epoch: 1,
	run: null,
	lease_until: null,
	done: null,
	total: null,
	inference_ms: null,
	failure: null,
	failure_detail: null,
	started_at: null,
	completed_at: null,
	deleted_at: null,
	checkpointed: null,
	lost: 0,
	reached: 0,
	refunded: 0,
	seen_at: null,
	removed_at: null
} satisfies Partial<Row>

export interface PictureRow extends Record<string, SqlStorageValue> {
	n: number
	key: string
	size: number
	content_type: string
	width: number
	height: number
	seed: number
}

export const requestOf = (row: Row): ResolvedRequest => JSON.parse(row.request)
const time = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms))

/** What is still set aside for a generation of which `captured` pictures are charged. */
export const heldFor = ({ status, price, count }: Row, captured: number): number =>
	isTerminal(status) ? 0 : price * (count - captured)

const costOf = (row: Row, captured: number) => ({
	picture: row.price,
	held: heldFor(row, captured),
	charged: row.price * captured - row.refunded
})

export function snapshotOf(row: Row, pictures: PictureRow[], request = requestOf(row)): Snapshot {
	const { id, status, done, total, inference_ms, failure } = row
	return {
		id,
		status,
		request,
		progress: status === 'processing' && done !== null && total !== null ? { done, total } : null,
		images: row.removed_at === null ? pictures : [],
		warnings: JSON.parse(row.warnings),
		metrics: inference_ms === null ? null : { inference_ms },
		error: failure && failureOf(failure, row.failure_detail ?? ''),
		cost: costOf(row, pictures.length),
		priority: row.priority,
		deadline: timeOrNull(row.deadline),
		start_deadline: timeOrNull(row.start_deadline),
		url_ttl: row.url_ttl,
		created_at: time(row.created_at),
		started_at: timeOrNull(row.started_at),
		completed_at: timeOrNull(row.completed_at),
		removed_at: timeOrNull(row.removed_at)
	}
}
