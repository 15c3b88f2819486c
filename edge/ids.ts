import { z } from '@hono/zod-openapi'

export const AccountId = z.string().regex(/^[a-z0-9-]{3,32}$/)
export const GenerationId = z.string().regex(/^gen_[0-9a-hjkmnp-tv-z]{26}$/)
