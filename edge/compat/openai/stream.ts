import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { Generation } from '../../../shared/contract/generation.ts'
import type { App } from '../../app.ts'
import { failureOf } from '../failure.ts'
import type { Native } from '../native.ts'
import { errorOf } from './errors.ts'
import type { Wanted } from './request.ts'
import { base64Of, noTokens, streamedImage } from './response.ts'

/**
 * The partial images of the first picture, for their events do not say of which one they are, and each picture when it is delivered.
 *
 * @param kind how their events are called
 */
export function streamImages(
	c: Context<App>,
	native: Native,
	accepted: Generation,
	wanted: Wanted,
	kind: 'image_generation' | 'image_edit'
): Response {
	c.header('cache-control', 'no-cache, no-transform')
	c.header('x-accel-buffering', 'no')
	return streamSSE(c, async (stream) => {
		const send = (type: string, event: object) => stream.writeSSE({ event: type, data: JSON.stringify({ type, ...event }) })
		for await (const event of native.events(accepted.id)) {
			if (stream.aborted) {
				return
			}
			if (event.type === 'partial_image' && event.n === 0) {
				const image = streamedImage(accepted, wanted, event.data, event.content_type.replace('image/', ''))
				await send(`${kind}.partial_image`, { ...image, partial_image_index: event.index })
			} else if (event.type === 'image') {
				const format = event.image.content_type.replace('image/', '')
				const image = streamedImage(accepted, wanted, await base64Of(c.var.env, event.image), format)
				await send(`${kind}.completed`, { ...image, usage: noTokens })
			} else if (event.type === 'end' && event.generation.status !== 'succeeded') {
				await send('error', { error: errorOf(failureOf(event.generation)) })
			}
		}
	})
}
