import { z } from 'zod'
import { InputName } from '../inputs.ts'
import { OutputType } from '../outputs.ts'
import { mostPictures, ResolvedRequest, Warning } from './generation.ts'

/**
 * What a GPU node says to the edge about one generation and epoch: `POST <callback>/<name>` with the job's token as bearer.
 * Any of them may answer 409 `superseded` (a later epoch was granted) or 409 `ended` (canceled, or finished already): the node
 * then drops the work without a word. Each call renews the lease.
 *
 * Edge and nodes need not be of one version. Calls and answers may get more fields, optional ones; whoever does not know a field leaves it out
 * of account. A `request` alone is understood whole or not at all: a node that does not know all of it hands the work back.
 */

/** Base64 of the 16 bytes, as in Content-MD5. */
const Md5 = z.base64().length(24)
const Bytes = z
	.int()
	.min(1)
	.max(64 * 1024 * 1024)
const PictureNumber = z
	.int()
	.min(0)
	.max(mostPictures - 1)
/** Few, so that what waits outgrows them soon. */
const Priority = z.int().min(0).max(3)

/** `start`: asks for the epoch. `run` names this attempt, so that a repeated call after a lost answer is granted again. */
export const StartCall = z.object({ run: z.string().min(8).max(64) })
export const StartAnswer = z.object({
	request: ResolvedRequest,
	/** Milliseconds from the answer until someone else may be granted the work. */
	lease: z.int(),
	/** Pictures of this epoch that are delivered already. */
	delivered: z.array(PictureNumber),
	/** Work of a higher priority goes first. */
	priority: Priority.optional(),
	/** Milliseconds from the answer until the generation expires. Of equal priority, what expires sooner goes first. */
	deadline: z.int().optional(),
	/** Where to read what an earlier attempt had got to, as its node stored it. */
	checkpoint: z.url().optional(),
	/** Signed URLs of the request's inputs. */
	inputs: z.partialRecord(InputName, z.url()).optional()
})
export type StartAnswer = z.infer<typeof StartAnswer>

/** How picture `n` looked after `step` evaluations. */
export const Preview = z.object({
	n: PictureNumber,
	step: z.int().min(1),
	content_type: z.enum(['image/webp']),
	/** The image's bytes. */
	data: z.base64().max(200_000)
})
export type Preview = z.infer<typeof Preview>

/** Picture `n` on its way, decoded in full, for the `index`th time. */
export const PartialImage = Preview.extend({ index: z.int().min(0).max(2) })
export type PartialImage = z.infer<typeof PartialImage>

/** `progress`: U-Net evaluations done and asked for, summed over the pictures. Every 500 ms, and with each partial image. */
export const ProgressCall = z.object({
	done: z.int().min(0),
	total: z.int().min(1),
	previews: z.array(Preview).max(4).optional(),
	partial_image: PartialImage.optional()
})
export type ProgressCall = z.infer<typeof ProgressCall>
/** `watched`: someone would see previews; they are drawn for nobody else. */
export const ProgressAnswer = z.object({ watched: z.boolean() })
export type ProgressAnswer = z.infer<typeof ProgressAnswer>

/**
 * `checkpoint`: the unfinished pictures' state, as bytes (`application/octet-stream`) that mean something to nodes alone. The latest one is
 * handed to whoever is granted the work next.
 */
export const mostCheckpointBytes = 64 * 1024 * 1024

/** `yield`: hands the work back. It is queued again at once, and the attempt does not count. */
export const YieldCall = z.object({})

/** `upload`: asks for a write-once place for one encoded picture. */
export const UploadCall = z.object({ n: PictureNumber, size: Bytes, md5: Md5, content_type: OutputType })
export type UploadCall = z.infer<typeof UploadCall>
/** PUT the bytes to `url` with exactly these headers. 412: they are there already, go on to `image`. */
export const UploadAnswer = z.object({ url: z.url(), headers: z.record(z.string(), z.string()) })
export type UploadAnswer = z.infer<typeof UploadAnswer>

/** `image`: the bytes are in place. */
export const ImageCall = UploadCall.extend({ width: z.int().min(1), height: z.int().min(1), seed: z.int().min(0) })
export type ImageCall = z.infer<typeof ImageCall>

/** `finish`: the end. `succeeded` holds only when every picture was delivered. */
export const FinishCall = z.discriminatedUnion('outcome', [
	z.object({
		outcome: z.literal('succeeded'),
		/** Time spent inside ONNX Runtime on behalf of this generation, batches counted whole. */
		inference_ms: z.number().min(0),
		/** What came to light on the node. */
		warnings: z.array(Warning.strip()).max(10).optional()
	}),
	z.object({
		outcome: z.literal('failed'),
		detail: z.string().max(1000),
		/** Where it is the client's doing. What a newer node knows beside counts as none. */
		reason: z.literal('input-unreadable').optional().catch(undefined)
	})
])
export type FinishCall = z.infer<typeof FinishCall>
