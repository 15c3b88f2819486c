import { isTerminal } from '../../shared/contract/generation.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { Env } from '../env.ts'
import { type Answer, unwrap } from '../errors.ts'
import type { Key } from '../keys.ts'

/** Between looks when the Viewer has vanished. Milliseconds. */
const pause = 1_000

/** The generation once it has ended, or as it is after `seconds`. */
export async function hold(env: Env, key: Key, snapshot: Snapshot, seconds: number): Promise<Snapshot> {
	if (isTerminal(snapshot.status)) {
		return snapshot
	}
	const { id } = snapshot
	const until = Date.now() + seconds * 1_000
	const read = async () => unwrap((await env.ACCOUNT.getByName(key.account).read(key.hash, id)) as Answer<Snapshot>)
	try {
		return (await env.VIEWER.getByName(id).wait(key.account, id, seconds * 1_000)) ?? (await read())
	} catch {
		let latest = await read()
		while (!isTerminal(latest.status) && Date.now() < until) {
			await new Promise((resolve) => setTimeout(resolve, Math.min(pause, until - Date.now())))
			latest = await read()
		}
		return latest
	}
}
