import { getMultipartBoundary, parseMultipart } from '@remix-run/multipart-parser'
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import { type Fault, ProblemError, typeOf, unsupported } from './errors.ts'
import { Held } from './held.ts'
import { inTime, timeFor } from './in-time.ts'
import { Given } from './inputs/given.ts'
import { mostBesides, shorten } from './inputs/long-json.ts'
import { soon } from './soon.ts'

const mebibyte = 1024 * 1024
/** Of what is no order, and has nothing long in it. */
const small = 16 * 1024
/** A client that is still sending sees a broken connection in place of our answer, so this much is read and thrown away first. */
const drained = 32 * mebibyte
/** Where inputs may come along: the largest one in base64, and half as much for a mask. */
const mostInputs = 20 * mebibyte
/** Bodies up to here are read as they are, and not counted. */
const mostUncounted = 64 * 1024

const tooLarge = (maxSize: number, of = '') =>
	({ code: 'payload-too-large', detail: `Expected at most ${maxSize} bytes${of}.` }) as const

/** The announced length of a body; of one in pieces undefined. */
const lengthOf = ({ req }: Context): number | undefined =>
	req.header('transfer-encoding') === undefined && req.header('content-length') ? Number(req.header('content-length')) : undefined

/** A body that fails while it is read has lost its client, which is no fault of ours. */
function left(error: unknown): never {
	throw error instanceof ProblemError
		? error
		: new ProblemError({ code: 'broken-off', detail: 'The rest of the body did not come.' })
}

/** Lets no body on that announces more than `maxSize` bytes; the others are for `go` to judge. */
function limited(maxSize: number, go: MiddlewareHandler = (_, next) => next()): MiddlewareHandler<App> {
	const refuse = async (c: Context, length: number) => {
		await throwAway(c, length)
		throw new ProblemError(tooLarge(maxSize))
	}
	return (c, next) => {
		const length = lengthOf(c) ?? 0
		return length > maxSize ? refuse(c, length) : go(c, next)
	}
}

/** For `readJson`, `readForm` and `holdBody`, which end what announces no length. */
export const limitInputs = limited(mostInputs)

/** Reads the body, too, for whoever asks for its text or its JSON. Nobody counts it, and as values it may take twenty times its length. */
function reading(maxSize: number): MiddlewareHandler<App> {
	const join = bodyLimit({
		maxSize,
		onError() {
			throw new ProblemError(tooLarge(maxSize))
		}
	})
	return limited(maxSize, async (c, next) => {
		const joined = join(c, async () => void (await c.req.arrayBuffer()))
		await inTime(joined, lengthOf(c) ?? maxSize).catch(left)
		try {
			const text = utf8.decode(await c.req.arrayBuffer())
			if (isJson(c)) {
				JSON.parse(text) // Validators do not say where it ceases to be JSON.
			}
		} catch (error) {
			throw unreadable(c, error instanceof SyntaxError ? `could not be parsed as JSON: ${error.message}` : 'is not in UTF-8')
		}
		await next()
	})
}
export const limitBody = reading(small)
/** For a node's calls, which bring previews. */
export const limitCall = reading(mebibyte)

/** Whether a body says of itself that it is JSON, which is in UTF-8 (RFC 8259, §8.1). */
function isJson({ req }: Context): boolean {
	const type = req.header('content-type') ?? ''
	return /^\s*application\/json\s*(;|$)/i.test(type) && !/;\s*charset=(?!"?utf-?8\b)/i.test(type)
}

export const asJson = createMiddleware<App>(function asJson(c, next) {
	if (!isJson(c)) {
		throw new ProblemError(unsupported(c))
	}
	return next()
})

/** The whole body, for as long as its request takes, of the account that a door before has found. */
export async function holdBody(c: Context): Promise<Held> {
	const length = lengthOf(c)
	const held = await Held.read(c.get('account') ?? '', c.req.raw.body, mostInputs, length).catch(async (error) => {
		await throwAway(c, length ?? mostInputs)
		return left(error)
	})
	if (held.bytes.length > mostInputs) {
		held.release()
		await throwAway(c, length ?? mostInputs)
		throw new ProblemError(tooLarge(mostInputs))
	}
	c.set('body', held)
	return held
}

/** Bodies of requests that were made here. */
const made = new WeakMap<Request, { value: unknown; body: Held | undefined }>()

/** Makes `value` the body of a request to our own API: as it is, for as text it could be large. */
export function handOver(c: Context, request: Request, value: unknown): void {
	request.headers.set('content-type', 'application/json')
	made.set(request, { value, body: c.get('body') })
}

/** The body as JSON; an empty one is none. Long `data:` URIs in it are Givens. */
export async function readJson(c: Context): Promise<unknown> {
	const handed = made.get(c.req.raw)
	if (handed) {
		c.set('body', handed.body)
		return handed.value
	}
	try {
		const length = lengthOf(c) ?? mostInputs
		if (length <= mostUncounted) {
			return JSON.parse(utf8.decode(await inTime(c.req.raw.arrayBuffer(), length).catch(left)))
		}
		const body = await holdBody(c)
		const { text, revive } = shorten(body)
		const value = JSON.parse(utf8.decode(text), revive)
		if (!revive) {
			body.release()
		}
		return value
	} catch (error) {
		if (!(error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError)) {
			throw error
		}
		// Of a large body long URIs were taken out: places in what is left are none in it.
		const where = error instanceof SyntaxError && !c.get('body') ? `: ${error.message}` : ''
		throw unreadable(c, error instanceof TypeError ? 'is not in UTF-8' : `could not be parsed as JSON${where}`)
	}
}

/** Other letters would come out as U+FFFD, and be drawn. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

const unreadable = (c: Context, fault: string): ProblemError =>
	notPlain(c, { code: 'malformed-json', detail: `The body ${fault}${isJson(c) ? '' : `; its content-type is ${typeOf(c)}`}.` })

/** The fault of a body that could not be read, unless that is its encoding. */
function notPlain({ req }: Context, fault: Fault): ProblemError {
	const encoding = req.header('content-encoding')?.slice(0, 80)
	return new ProblemError(
		encoding ? { code: 'unsupported-media-type', detail: `Expected a body without content-encoding, got ${encoding}.` } : fault
	)
}

type Field = string | Given
type Form = Record<string, Field | Field[]>

/** The body as a form, `multipart/form-data`. A field that comes more than once is an array. */
export async function readForm(c: Context): Promise<Form> {
	const type = c.req.header('content-type') ?? ''
	const form: Form = Object.create(null)
	if (!/^\s*multipart\/form-data\s*(;|$)/i.test(type)) {
		throw new ProblemError(unsupported(c, 'multipart/form-data'))
	}
	const body = await holdBody(c)
	try {
		for (const [name, value] of fieldsOf(body, type)) {
			form[name] = name in form ? [form[name]!, value].flat() : value
		}
	} catch (error) {
		if (error instanceof ProblemError) {
			throw error
		}
		const detail = `The body could not be parsed as a form: ${(error as Error).message}`
		throw notPlain(c, { code: 'malformed-form', detail })
	}
	return form
}

/** Files stay where they are in the body, whole as it is. */
function* fieldsOf(body: Held, type: string): Generator<[string, Field]> {
	const { bytes } = body
	const boundary = getMultipartBoundary(type)
	if (!boundary) {
		throw new Error('content-type names no boundary')
	}
	let besides = 0
	// What comes before the first boundary is for people, or the line break that belongs to each (RFC 2046, §5.1.1).
	const form = bytes.subarray(Math.max(0, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(`--${boundary}`)))
	for (const part of parseMultipart(form, { boundary, maxFileSize: bytes.length, maxTotalSize: bytes.length })) {
		const { name, filename, mediaType = '', size } = part
		if (name === undefined) {
			throw new Error('a part has no name')
		}
		// openai-java names no file that it was given as bytes.
		if (filename !== undefined || /^(image\/|application\/octet-stream)/i.test(mediaType)) {
			// So a page's form sends a file that nobody chose (HTML, §4.10.22.4).
			if (filename === '' && size === 0) {
				continue
			}
			const start = part.content[0]?.byteOffset ?? 0
			yield [name, new Given(body, start, start + size, filename ?? '')]
			continue
		}
		besides += size
		if (besides > mostBesides) {
			throw new ProblemError(tooLarge(mostBesides, ' besides files'))
		}
		try {
			yield [name, utf8.decode(part.bytes)]
		} catch {
			throw new Error(`${name} is neither a file nor text in UTF-8`)
		}
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
	const rest: Promise<unknown> = isSmall ? req.raw.text() : drain(req.raw.body)
	await soon(rest, isSmall ? 1_000 : 10_000).catch(() => {})
}

/** What is left of a body of so many bytes, unless it is being read, for as long as they may take. */
const throwAway = ({ req }: Context, length: number) =>
	soon(drain(req.raw.body), timeFor(Math.min(length, drained))).catch(() => {})

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
