import type { Generation, Picture } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { expectPicture, findPicture } from '../../storage/storage.ts'
import type { Wanted } from './request.ts'

const formatOf = ({ content_type }: Picture) => content_type.replace('image/', '')
const sizeOf = ({ request: { width, height } }: Generation) => `${width}x${height}`

/** Pictures in base64 are written as they are read: ten large ones would fill the memory of an isolate, which all its requests share. */
export async function respondImages(env: Env, generation: Generation, wanted: Wanted): Promise<Response> {
	const { id, images, completed_at, request } = generation
	if (wanted.as.includes('b64_json')) {
		// Once the answer has begun it has no place for an error.
		await Promise.all(images.map(({ url }) => expectPicture(env, url)))
	}
	// What no prompt has.
	const mark = crypto.randomUUID()
	const data = images.map((picture) => ({
		...(wanted.as.includes('url') && { url: outputUrl(env, picture) }),
		...(wanted.as.includes('b64_json') && { b64_json: mark }),
		revised_prompt: request.prompt,
		seed: picture.seed
	}))
	const body = {
		created: secondsOf(completed_at),
		data,
		background: 'opaque',
		...(images[0] && { output_format: formatOf(images[0]) }),
		quality: wanted.quality,
		size: sizeOf(generation),
		usage: noTokens,
		/** The generation here. */
		id
	}
	const pieces = inPieces(body, mark, (i) => findPicture(env, images[i]!.url))
	const stream = new ReadableStream({
		async pull(controller) {
			const { done, value } = await pieces.next()
			done ? controller.close() : controller.enqueue(new TextEncoder().encode(value))
		},
		async cancel() {
			await pieces.return(undefined)
		}
	})
	return new Response(stream, { headers: { 'content-type': 'application/json' } })
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

/** An event of a stream, without its type. `b64_json`: the picture, or how far it is. */
export function streamedImage(generation: Generation, wanted: Wanted, b64_json: string, output_format: string) {
	return {
		b64_json,
		created_at: secondsOf(generation.created_at),
		size: sizeOf(generation),
		quality: wanted.quality,
		background: 'opaque',
		output_format
	}
}

/** Pictures are what is counted here, and the shape has no place for them. */
export const noTokens = {
	input_tokens: 0,
	output_tokens: 0,
	total_tokens: 0,
	input_tokens_details: { image_tokens: 0, text_tokens: 0 }
}

const secondsOf = (time: string | null) => Math.floor(Date.parse(time ?? '') / 1_000)
