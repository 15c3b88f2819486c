import type { Env } from '../../env.ts'
import { present } from '../../routes/present.ts'
import type { Snapshot } from '../snapshot.ts'
import type { DeliveryRow } from './deliveries.ts'

/** Bytes. Standard Webhooks asks receivers to expect less than 20 kB. */
const most = 19_000

/**
 * What is posted: `type`, `timestamp` (of the event) and `data`, which is the generation as it stands when it is sent, so that picture URLs work
 * however late that is, and what was deleted is not told. An image event has the picture's number in `data.image`.
 */
export async function messageOf(env: Env, delivery: DeliveryRow, snapshot: Snapshot | undefined): Promise<string> {
	const { type, at, n, generation, endpoint } = delivery
	const body = (data: object) => JSON.stringify({ type, timestamp: new Date(at).toISOString(), data })
	if (generation === null) {
		return body({ webhook: endpoint })
	}
	if (!snapshot) {
		return body({ id: generation, deleted: true })
	}
	const data = { ...(await present(env, snapshot)), ...(n !== null && { image: n }) }
	const shorter = [data, { ...data, request: null, truncated: true }, { ...data, request: null, images: [], truncated: true }]
	const bodies = shorter.map(body)
	return bodies.find((text) => Buffer.byteLength(text) <= most) ?? (bodies.at(-1) as string)
}
