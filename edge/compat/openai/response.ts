import type { Generation, Picture } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { readPicture } from '../../storage/storage.ts'
import type { Wanted } from './request.ts'

const formatOf = ({ content_type }: Picture) => content_type.replace('image/', '')
const sizeOf = ({ request: { width, height } }: Generation) => `${width}x${height}`

export async function imagesResponse(env: Env, generation: Generation, wanted: Wanted) {
	const { id, images, completed_at, request } = generation
	const data = images.map(async (picture) => ({
		...(wanted.as.includes('url') && { url: outputUrl(env, picture) }),
		...(wanted.as.includes('b64_json') && { b64_json: await base64Of(env, picture) }),
		revised_prompt: request.prompt,
		seed: picture.seed
	}))
	return {
		created: secondsOf(completed_at),
		data: await Promise.all(data),
		background: 'opaque',
		...(images[0] && { output_format: formatOf(images[0]) }),
		quality: wanted.quality,
		size: sizeOf(generation),
		/** The generation here. */
		id
	}
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

export const base64Of = async (env: Env, picture: Picture): Promise<string> =>
	Buffer.from(await readPicture(env, picture.url)).toString('base64')

const secondsOf = (time: string | null) => Math.floor(Date.parse(time ?? '') / 1_000)
