import type { Generation, Picture } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { respondInline } from '../inline.ts'
import type { Wanted } from './request.ts'

const formatOf = ({ content_type }: Picture) => content_type.replace('image/', '')

/** Without their `size`, which may be one of three: clients that know no others refuse ours (async-openai up to 0.40, dart_openai). */
export async function respondImages(env: Env, generation: Generation, wanted: Wanted): Promise<Response> {
	const { id, images, completed_at, request } = generation
	const body = (b64_json?: string) => ({
		created: secondsOf(completed_at),
		data: images.map((picture) => ({
			...(wanted.as.includes('url') && { url: outputUrl(env, picture) }),
			...(b64_json !== undefined && { b64_json }),
			revised_prompt: request.prompt,
			seed: picture.seed,
			width: picture.width,
			height: picture.height
		})),
		background: 'opaque',
		...(images[0] && { output_format: formatOf(images[0]) }),
		quality: wanted.quality,
		usage: noTokens,
		/** The generation here. */
		id
	})
	return wanted.as.includes('b64_json') ? respondInline(env, images, body) : Response.json(body())
}

/** An event of a stream, without its type. `b64_json`: the picture, or how far it is. */
export function streamedImage({ created_at, request }: Generation, wanted: Wanted, b64_json: string, output_format: string) {
	return {
		b64_json,
		created_at: secondsOf(created_at),
		/** Of the names that it may have, the one that is true of any. */
		size: 'auto',
		width: request.width,
		height: request.height,
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
