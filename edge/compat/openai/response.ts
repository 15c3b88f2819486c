import type { Generation, Picture } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { respondInline } from '../inline.ts'
import type { Wanted } from './request.ts'

const formatOf = ({ content_type }: Picture) => content_type.replace('image/', '')
const sizeOf = ({ request: { width, height } }: Generation) => `${width}x${height}`

export async function respondImages(env: Env, generation: Generation, wanted: Wanted): Promise<Response> {
	const { id, images, completed_at, request } = generation
	const body = (b64_json?: string) => ({
		created: secondsOf(completed_at),
		data: images.map((picture) => ({
			...(wanted.as.includes('url') && { url: outputUrl(env, picture) }),
			...(b64_json !== undefined && { b64_json }),
			revised_prompt: request.prompt,
			seed: picture.seed
		})),
		background: 'opaque',
		...(images[0] && { output_format: formatOf(images[0]) }),
		quality: wanted.quality,
		size: sizeOf(generation),
		usage: noTokens,
		/** The generation here. */
		id
	})
	return wanted.as.includes('b64_json') ? respondInline(env, images, body) : Response.json(body())
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
