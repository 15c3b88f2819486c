import { newId } from '../../shared/ids.ts'
import { type InputType, UploadId } from '../../shared/inputs.ts'
import type { Env } from '../env.ts'

/**
 * An account's inputs are under a prefix of its own, so another's upload is as good as none. Nothing but generations refers to them: what is
 * under `inputs/` and named by no generation that is kept can be deleted. Ids begin with the time of their making, as R2 lists them.
 */
export const inputKey = (account: string, id: string): string => `inputs/${account}/${id}`

/** Stores an input, and gives its id. */
export async function storeInput(env: Env, account: string, bytes: Uint8Array, type: InputType): Promise<string> {
	const id = newId('upl')
	await env.BUCKET.put(inputKey(account, id), bytes, { httpMetadata: { contentType: type } })
	return id
}

/** An upload; undefined where the account has none of this id. */
export async function findInput(env: Env, account: string, id: string): Promise<R2ObjectBody | undefined> {
	const object = UploadId.safeParse(id).success ? await env.BUCKET.get(inputKey(account, id)) : null
	return object ?? undefined
}
