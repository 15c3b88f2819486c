import { z } from 'zod'

/** The fields of a request that are pictures. */
export const InputName = z.enum(['image', 'mask', 'semantic_map', 'control_image'])
export type InputName = z.infer<typeof InputName>

/** Formats that an input may have, by what its bytes say. */
export const InputType = z.enum(['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif'])
export type InputType = z.infer<typeof InputType>

/** An input that was stored for an account. */
export const UploadId = z.string().regex(/^upl_[0-9a-hjkmnp-tv-z]{26}$/)

export interface Size {
	readonly width: number
	readonly height: number
}
