import type { Context } from 'hono'
import { ProblemError, respond } from '../errors.ts'
import { problemOf } from './failure.ts'
import { respondError } from './openai/errors.ts'

/** What vendors' clients call when their base URL lacks our path, or a part of it. */
const openai = /^((\/v1)?\/images\/(generations|edits|variations)|\/models)$/
const replicate = /^(\/v1|\/replicate)?(\/(models|deployments)\/[^/]+\/[^/]+)?\/predictions\b/

/** The answer where there is nothing. A client that has lost its way is told the base URL that it needs. */
export async function respondNothing(c: Context): Promise<Response> {
	const { path } = c.req
	const isOpenAI = openai.test(path)
	const where = isOpenAI
		? "; OpenAI's clients take /openai/v1 here as their base URL"
		: replicate.test(path)
			? "; Replicate's clients take /replicate/v1 here as their base URL, and in Python /replicate"
			: ''
	const nothing = { code: 'not-found', detail: `There is nothing at ${path}${where}.` } as const
	if (!isOpenAI) {
		return respond(c, nothing)
	}
	// Of a problem OpenAI's client for JavaScript shows the status alone (openai-node src/core/error.ts).
	return respondError(c, (await problemOf(new ProblemError(nothing), c)).problem)
}
