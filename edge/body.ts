import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { App } from './app.ts'
import { respond } from './errors.ts'

const mebibyte = 1024 * 1024
/** A client that is still sending sees a broken connection in place of our answer, so this much is read and thrown away first. */
const drained = 32 * mebibyte

/** JSON bodies end here, whether or not their length was announced; what is over is never kept. */
export const limitBody: MiddlewareHandler<App> = bodyLimit({
	maxSize: mebibyte,
	onError: async (c) => {
		await drain(c.req.raw.body)
		return respond(c, { code: 'payload-too-large', detail: `Expected at most ${mebibyte} bytes.` })
	}
})

async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
	if (!body || body.locked) {
		return
	}
	let read = 0
	for await (const chunk of body) {
		read += chunk.byteLength
		if (read > drained) {
			return
		}
	}
}
