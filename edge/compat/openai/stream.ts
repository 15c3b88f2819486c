import type { Context } from 'hono'
import type { Generation } from '../../../shared/contract/generation.ts'
import type { App } from '../../app.ts'
import type { Sent } from '../../sse.ts'
import { findPicture } from '../../storage/storage.ts'
import { failureOf, problemOf } from '../failure.ts'
import { inPieces } from '../inline.ts'
import type { Native } from '../native.ts'
import { errorOf } from './errors.ts'
import type { Wanted } from './request.ts'
import { noTokens, streamedImage } from './response.ts'

/**
 * The partial images of the first picture, for their events do not say of which one they are, and each picture when it is delivered. What goes wrong by then is
 * told as an event, too.
 *
 * @param kind how their events are called
 */
export async function* imageEvents(
	c: Context<App>,
	native: Native,
	accepted: Generation,
	wanted: Wanted,
	kind: 'image_generation' | 'image_edit'
): AsyncGenerator<Sent> {
	const sent = (type: string, event: object): Sent => ({ event: type, data: JSON.stringify({ type, ...event }) })
	try {
		for await (const event of native.events(accepted.id)) {
			if (event.type === 'partial_image' && event.n === 0) {
				const image = streamedImage(accepted, wanted, event.data, event.content_type.replace('image/', ''))
				yield sent(`${kind}.partial_image`, { ...image, partial_image_index: event.index })
			} else if (event.type === 'image') {
				const format = event.image.content_type.replace('image/', '')
				// Sought before its event begins, which has no place for an error.
				const object = await findPicture(c.var.env, event.image.url)
				const type = `${kind}.completed`
				const mark = crypto.randomUUID()
				const body = { type, ...streamedImage(accepted, wanted, mark, format), usage: noTokens }
				yield { event: type, data: inPieces(body, mark, async () => object) }
			} else if (event.type === 'end' && event.generation.status !== 'succeeded') {
				yield sent('error', { error: errorOf(failureOf(event.generation)) })
			}
		}
	} catch (error) {
		yield sent('error', { error: errorOf((await problemOf(error as Error, c)).problem) })
	}
}
