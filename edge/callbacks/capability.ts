import { z } from '@hono/zod-openapi'
import { createMiddleware } from 'hono/factory'
import type { Job } from '../../shared/queue.ts'
import type { App } from '../app.ts'
import { bearer } from '../bearer.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../errors.ts'
import { hmac, sameText } from '../hmac.ts'
import { AccountId, GenerationId } from '../ids.ts'

/** One attempt at one generation. A job's token is the right to speak about exactly this. */
export const Work = z.object({
	account: AccountId,
	generation: GenerationId,
	epoch: z
		.string()
		.regex(/^[1-9]\d{0,8}$/)
		.transform(Number)
})
export type Work = z.output<typeof Work>

const tokenOf = (secret: string, { account, generation, epoch }: Work) => hmac(secret, 'callback', account, generation, epoch)

export const callbackPath = (name: string) => `/callbacks/{account}/{generation}/{epoch}/${name}` as const

/** Another epoch writes other objects, so a late node cannot touch what counts. */
export const objectKey = ({ generation, epoch }: Work, n: number): string => `${generation}/${epoch}/${n}`

/** One checkpoint an epoch: each replaces the one before it. */
export const checkpointKey = ({ generation, epoch }: Pick<Work, 'generation' | 'epoch'>): string =>
	`${generation}/${epoch}/checkpoint`

export function jobFor(env: Env, work: Work): Job {
	const { account, generation, epoch } = work
	return {
		generation,
		epoch,
		callback: `${env.PUBLIC_ORIGIN}/callbacks/${account}/${generation}/${epoch}`,
		token: tokenOf(env.DARKROOM_SECRET, work)
	}
}

/** Refuses a token that was not made for the work that the path names, before any storage is touched. */
export const withWork = createMiddleware<App & { Variables: { work: Work } }>(async function withWork(c, next) {
	const token = bearer(c)
	const work = Work.safeParse(c.req.param())
	if (!work.success || !sameText(token, tokenOf(c.var.env.DARKROOM_SECRET, work.data))) {
		throw new ProblemError({ code: 'unauthorized', detail: 'The token is not for this callback.' })
	}
	c.set('work', work.data)
	await next()
})
