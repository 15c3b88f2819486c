import type { Env } from '../env.ts'
import { promptly } from '../promptly.ts'
import { soon } from '../soon.ts'
import { heartbeat } from '../sse.ts'

/** `Viewer.follow`; readers of one that neither tells anything nor breaks off are let go, and come back. */
export async function follow(
	env: Env,
	account: string,
	id: string,
	lastId: string | undefined,
	key?: string
): Promise<ReadableStream<Uint8Array> | undefined> {
	const events = await promptly(env.VIEWER.getByName(id).follow(account, id, lastId, key))
	return events && untilSilent(events)
}

/** A stream up to where it has been silent for longer than ours are. */
export function untilSilent(events: ReadableStream<Uint8Array>, longest = 3 * heartbeat): ReadableStream<Uint8Array> {
	const reader = events.getReader()
	return new ReadableStream({
		type: 'bytes',
		async pull(controller) {
			const next = reader.read()
			const { done, value } = (await soon(next, longest)) ? await next : { done: true }
			if (done) {
				controller.close()
				void reader.cancel().catch(() => {})
			} else {
				controller.enqueue(value!)
			}
		},
		cancel: (reason) => reader.cancel(reason)
	})
}
