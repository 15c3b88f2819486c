import type { z } from '@hono/zod-openapi'
import { Problem } from '../../shared/contract/problem.ts'

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
	description,
	content: { 'application/json': { schema } }
})

export const problem = (description: string) => ({
	description,
	content: { 'application/problem+json': { schema: Problem } }
})
