import { z } from 'zod'
import { ResolvedRequest } from './generation.ts'

/**
 * What a GPU node says to the edge about one generation and epoch: `POST <callback>/<name>` with the job's token as bearer.
 * Any of them may answer 409 `superseded` (a later epoch was granted) or 409 `ended` (canceled, or finished already): the node
 * then drops the work without a word. Each call renews the lease.
 */

/** Base64 of the 16 bytes, as in Content-MD5. */
const Md5 = z.base64().length(24)
const Bytes = z
	.int()
	.min(1)
	.max(64 * 1024 * 1024)
const PictureNumber = z.int().min(0).max(63)

/** `start`: asks for the epoch. `run` names this attempt, so that a repeated call after a lost answer is granted again. */
export const StartCall = z.strictObject({ run: z.string().min(8).max(64) })
export const StartAnswer = z.strictObject({
	request: ResolvedRequest,
	/** Milliseconds from the answer until someone else may be granted the work. */
	lease: z.int(),
	/** Pictures of this epoch that are delivered already. */
	delivered: z.array(PictureNumber)
})
export type StartAnswer = z.infer<typeof StartAnswer>

/** `progress`: U-Net evaluations done and asked for, summed over the pictures. Every 500 ms. */
export const ProgressCall = z.strictObject({ done: z.int().min(0), total: z.int().min(1) })
export type ProgressCall = z.infer<typeof ProgressCall>

/** `upload`: asks for a write-once place for one encoded picture. */
export const UploadCall = z.strictObject({ n: PictureNumber, size: Bytes, md5: Md5, content_type: z.enum(['image/png']) })
export type UploadCall = z.infer<typeof UploadCall>
/** PUT the bytes to `url` with exactly these headers. 412: they are there already, go on to `image`. */
export const UploadAnswer = z.strictObject({ url: z.url(), headers: z.record(z.string(), z.string()) })
export type UploadAnswer = z.infer<typeof UploadAnswer>

/** `image`: the bytes are in place. */
export const ImageCall = UploadCall.extend({ width: z.int().min(1), height: z.int().min(1), seed: z.int().min(0) })
export type ImageCall = z.infer<typeof ImageCall>

/** `finish`: the end. `succeeded` holds only when every picture was delivered. */
export const FinishCall = z.discriminatedUnion('outcome', [
	/** `inference_ms`: time spent inside ONNX Runtime on behalf of this generation, batches counted whole. */
	z.strictObject({ outcome: z.literal('succeeded'), inference_ms: z.number().min(0) }),
	z.strictObject({ outcome: z.literal('failed'), detail: z.string().max(1000) })
])
export type FinishCall = z.infer<typeof FinishCall>
