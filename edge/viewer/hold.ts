import { isTerminal } from '../../shared/contract/generation.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { Env } from '../env.ts'
import { type Answer, unwrap } from '../errors.ts'
import type { Key } from '../keys.ts'
import { soon } from '../soon.ts'

/** Between looks when the Viewer has vanished. Milliseconds. */
const pause = 1_000
/** How much longer than that it is held at most, where neither the Viewer nor the Account answers or fails. Milliseconds. */
const grace = 3_000

/**
 * The generation once it has ended, or as it is after `seconds`. Where its Account cannot be asked, as it was when it was last seen: who has ordered
 * it would take an error for a refusal, and order again.
 */
export async function hold(env: Env, key: Key, snapshot: Snapshot, seconds: number): Promise<Snapshot> {
	const { id } = snapshot
	const until = Date.now() + seconds * 1_000
	const read = () => env.ACCOUNT.getByName(key.account).read(key.hash, id) as Promise<Answer<Snapshot>>
	const wait = () => env.VIEWER.getByName(id).wait(key.account, id, seconds * 1_000)
	let latest = snapshot
	const watch = async () => {
		latest = (await wait().catch(() => undefined)) ?? latest
		// Counted, too: the clock may be set back meanwhile.
		for (let looks = 0, left = 0; !isTerminal(latest.status) && left >= 0 && looks <= seconds; looks++) {
			await new Promise((resolve) => setTimeout(resolve, Math.min(pause, left)))
			const seen = await read().catch(() => undefined)
			latest = seen ? unwrap(seen) : latest
			left = until - Date.now()
		}
	}
	if (!isTerminal(latest.status)) {
		await soon(watch(), seconds * 1_000 + grace)
	}
	return latest
}

/** That the client has had the end. What is known is answered, whether that can be noted or not. */
export async function noteAnswered(env: Env, { account }: Key, id: string): Promise<void> {
	await soon(env.ACCOUNT.getByName(account).answered(id), grace).catch(() => {})
}
