import { z } from 'zod'
import { inputLimits } from '../input-limits.ts'
import { InputType, UploadId } from '../inputs.ts'

/** `POST /v1/uploads`: what is going to be uploaded. */
export const UploadRequest = z.strictObject({
	content_type: InputType,
	size: z.int().min(1).max(inputLimits.bytes).describe('Bytes.'),
	md5: z
		.string()
		.regex(/^[A-Za-z\d+/]{22}==$/, 'an MD5 in base64, of 22 characters and ==')
		.describe('Of the bytes, in base64, as in Content-MD5.')
})
export type UploadRequest = z.infer<typeof UploadRequest>

/** Where to PUT the bytes, once, with exactly these headers and no key; `id` is then what a request may name as an input. */
export const Upload = z.strictObject({
	id: UploadId,
	url: z.url(),
	headers: z.record(z.string(), z.string()),
	expires_at: z.iso.datetime()
})
export type Upload = z.infer<typeof Upload>
