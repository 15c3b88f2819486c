import type { Picture } from '../../shared/contract/generation.ts'
import type { Env } from '../env.ts'
import { expectPicture, findPicture } from '../storage/storage.ts'

/**
 * JSON with pictures in base64, which are written as they are read: ten large ones would fill the memory of an isolate, which all its requests share.
 * Throws `not-found` for one that storage has lost.
 *
 * @param body where each of them is to be
 */
export async function respondInline(
	env: Env,
	images: readonly Picture[],
	body: (base64: string) => object,
	headers: Record<string, string> = {}
): Promise<Response> {
	// Once the answer has begun it has no place for an error.
	await Promise.all(images.map(({ url }) => expectPicture(env, url)))
	// What no prompt has.
	const mark = crypto.randomUUID()
	const pieces = inPieces(body(mark), mark, (i) => findPicture(env, images[i]!.url))
	const stream = new ReadableStream({
		async pull(controller) {
			const { done, value } = await pieces.next()
			done ? controller.close() : controller.enqueue(new TextEncoder().encode(value))
		},
		async cancel() {
			await pieces.return(undefined)
		}
	})
	return new Response(stream, { headers: { 'content-type': 'application/json', ...headers } })
}

/** The JSON of `body` as it is read, with a picture in base64 wherever `mark` is. */
export async function* inPieces(body: object, mark: string, read: (i: number) => Promise<R2ObjectBody>): AsyncGenerator<string> {
	const [first, ...others] = JSON.stringify(body).split(mark)
	yield first!
	for (const [i, text] of others.entries()) {
		yield* base64((await read(i)).body)
		yield text
	}
}

async function* base64(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
	// Three bytes are four letters; what is left of a piece goes before the next one.
	let left = Buffer.alloc(0)
	for await (const piece of stream) {
		const bytes = Buffer.concat([left, piece])
		const whole = bytes.length - (bytes.length % 3)
		yield bytes.toString('base64', 0, whole)
		left = bytes.subarray(whole)
	}
	yield left.toString('base64')
}
