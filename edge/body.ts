import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import { ProblemError, respond, unsupported } from './errors.ts'

const mebibyte = 1024 * 1024
const small = 16 * 1024
/** A client that is still sending sees a broken connection in place of our answer, so this much is read and thrown away first. */
const drained = 32 * mebibyte

/** JSON bodies end at `maxSize` bytes, whether or not their length was announced; what is over is never kept. */
function limited(maxSize: number): MiddlewareHandler<App> {
	const limit = bodyLimit({
		maxSize,
		onError: async (c) => {
			await drain(c.req.raw.body)
			return respond(c, { code: 'payload-too-large', detail: `Expected at most ${maxSize} bytes.` })
		}
	})
	return async function limited(c, next) {
		// Almost every request, which needs no stream of its body opened.
		const isAnnounced = Number(c.req.header('content-length')) <= maxSize && c.req.header('transfer-encoding') === undefined
		return isAnnounced ? next() : limit(c, next)
	}
}

export const limitBody = limited(mebibyte)
/** Where inputs may be `data:` URIs: the largest one in base64, and half as much for a mask. A Worker has 128 MB, and holds such a body thrice. */
export const limitInputs = limited(20 * mebibyte)

/** Lets those bodies in that say of themselves that they are JSON, which is in UTF-8 (RFC 8259, §8.1). */
export const asJson = createMiddleware<App>(async function asJson(c, next) {
	const type = c.req.header('content-type') ?? ''
	if (!/^\s*application\/json\s*(;|$)/i.test(type) || /;\s*charset=(?!"?utf-?8\b)/i.test(type)) {
		throw new ProblemError(unsupported(c))
	}
	await next()
})

/** The body as JSON; an empty one is none. */
export async function readJson(c: Context): Promise<unknown> {
	const bytes = await c.req.arrayBuffer()
	try {
		return JSON.parse(utf8.decode(bytes))
	} catch (error) {
		const encoding = c.req.header('content-encoding')
		const fault = error instanceof SyntaxError ? 'could not be parsed as JSON' : 'is not in UTF-8'
		throw new ProblemError(
			encoding
				? { code: 'unsupported-media-type', detail: `Expected a body without content-encoding, got ${encoding.slice(0, 80)}.` }
				: { code: 'malformed-json', detail: `The body ${fault}.` }
		)
	}
}

/** Other letters would come out as U+FFFD, and be drawn. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

type Form = Record<string, string | File | (string | File)[]>

/** The body as a form: `multipart/form-data`, or urlencoded; one of any other type has no fields. */
export async function readForm(c: Context): Promise<Form> {
	try {
		return await c.req.parseBody({ all: true })
	} catch (error) {
		throw new ProblemError({
			code: 'malformed-form',
			detail: `The body could not be parsed as a form: ${(error as Error).message}`
		})
	}
}

/**
 * What a refusal has left of a body is read and thrown away: a small one the runtime takes longer to break off than to hand out, and in the midst of a
 * large one the client would not see the answer. For a second or ten, should it never come.
 */
export async function readRest({ req }: Context): Promise<void> {
	const length = req.header('content-length')
	if (req.raw.bodyUsed || (length === undefined && req.header('transfer-encoding') === undefined)) {
		return
	}
	const isSmall = Number(length ?? small + 1) <= small
	const { promise, resolve } = Promise.withResolvers<void>()
	const timer = setTimeout(resolve, isSmall ? 1_000 : 10_000)
	await Promise.race([promise, (isSmall ? req.raw.arrayBuffer() : drain(req.raw.body)).catch(() => {})])
	clearTimeout(timer)
}

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
