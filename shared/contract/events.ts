import { z } from 'zod'
import { PartialImage, Preview } from './callbacks.ts'
import { Generation, Picture, Standing, Status } from './generation.ts'

/**
 * What `GET /v1/generations/{id}/events` tells: server-sent events whose `data` is one of these and whose name is its `type`. Whoever comes
 * late, or comes back, is told the latest of each kind that it has not seen.
 */
export const GenerationEvent = z.discriminatedUnion('type', [
	z.strictObject({ type: z.literal('status'), status: Status }),
	/** While it is queued, every two seconds where it changes. */
	Standing.extend({ type: z.literal('queue') }),
	/** U-Net evaluations done and asked for, summed over the pictures. */
	z.strictObject({ type: z.literal('progress'), done: z.int(), total: z.int() }),
	/** From the latent, while someone watches. */
	Preview.extend({ type: z.literal('preview') }),
	/** One of the request's `partial_images`; told before the picture itself, and to those alone who watch then or soon after. */
	PartialImage.extend({ type: z.literal('partial_image') }),
	/** A delivered picture. */
	z.strictObject({ type: z.literal('image'), image: Picture }),
	/** The last event. */
	z.strictObject({ type: z.literal('end'), generation: Generation })
])
export type GenerationEvent = z.infer<typeof GenerationEvent>
