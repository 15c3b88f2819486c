import { ProblemError } from './errors.ts'
import { soon } from './soon.ts'

/** Milliseconds: an object of ours that can answer does so in a hundredth of that. */
const patience = 15_000

/** What an object of ours answers. Throws `unavailable` where it neither answers nor fails: nobody knows then whether it did what it was asked to. */
export async function promptly<P extends Promise<unknown>>(answering: P, ms = patience): Promise<Awaited<P>> {
	if (await soon(answering, ms)) {
		return await answering
	}
	throw new ProblemError({ code: 'unavailable', detail: `No answer came within ${ms / 1_000} seconds.`, retryAfter: 1 })
}
