import { z } from 'zod'

/** What pictures are delivered as. */
export const OutputFormat = z.enum(['png', 'webp', 'jpeg', 'avif'])
export type OutputFormat = z.infer<typeof OutputFormat>

export const OutputType = z.enum(['image/png', 'image/webp', 'image/jpeg', 'image/avif'])
export type OutputType = z.infer<typeof OutputType>

export const outputType = (format: OutputFormat): OutputType => `image/${format}`

/** Where a request names none; PNG loses nothing and has none. AVIF's scale runs lower for the same likeness. */
export const defaultQuality = { webp: 90, jpeg: 90, avif: 65 } as const
