import type { Standing } from '../../shared/contract/generation.ts'
import { jobId } from '../../shared/queue.ts'
import type { Env } from '../env.ts'
import { promptly } from '../promptly.ts'
import { dispatcherOf } from './dispatcher.ts'

/** Milliseconds. */
const patience = 3_000

/** Where a generation stands in line; undefined where it does not wait, or nobody knows. It never fails: it is news, no answer. */
export async function standingOf(env: Env, account: string, id: string): Promise<Standing | undefined> {
	const ask = async () => {
		const line = await env.ACCOUNT.getByName(account).inLine(id)
		return line && dispatcherOf(env, account).standing(line.model, jobId({ generation: id, epoch: line.epoch }), line.before)
	}
	return promptly(ask(), patience).catch(() => undefined)
}
