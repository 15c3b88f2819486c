import { z } from '@hono/zod-openapi'

export const AccountId = z.string().regex(/^[a-z0-9-]{3,32}$/, 'a name of 3 to 32 small letters, digits and hyphens')
export const GenerationId = z.string().regex(/^gen_[0-9a-hjkmnp-tv-z]{26}$/)
