import type { Standing } from '../../shared/contract/generation.ts'
import { jobId } from '../../shared/queue.ts'
import type { Env } from '../env.ts'
import { dispatcherOf } from './dispatcher.ts'

/** Where a generation stands in line; undefined where it does not wait, or nobody knows. It never fails: it is news, no answer. */
export async function standingOf(env: Env, account: string, id: string): Promise<Standing | undefined> {
	try {
		const line = await env.ACCOUNT.getByName(account).inLine(id)
		return (
			line && (await dispatcherOf(env, account).standing(line.model, jobId({ generation: id, epoch: line.epoch }), line.before))
		)
	} catch {
		return undefined
	}
}
