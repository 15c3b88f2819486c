import { z } from 'zod'

/** The fields of a request that are pictures. */
export const InputName = z.enum(['image', 'mask', 'semantic_map'])
export type InputName = z.infer<typeof InputName>

/** What an input may be: bytes as it is sent, and pixels as it claims to have, in all and along a side. Both sides check. */
export const inputLimits = { bytes: 10 * 1024 * 1024, pixels: 32 * 1024 * 1024, side: 65_535 } as const

/** Formats that an input may have, by what its bytes say. */
export const InputType = z.enum(['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif'])
export type InputType = z.infer<typeof InputType>

/** An input that was stored for an account. */
export const UploadId = z.string().regex(/^upl_[0-9a-hjkmnp-tv-z]{26}$/)

export interface Size {
	readonly width: number
	readonly height: number
}
