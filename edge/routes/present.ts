import type { Generation } from '../../shared/contract/generation.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { Env } from '../env.ts'
import { signGet } from '../storage/storage.ts'

/** A generation as clients see it: every picture under a signed URL. */
export async function present(env: Env, { url_ttl, ...snapshot }: Snapshot): Promise<Generation> {
	const images = snapshot.images.map(async ({ key, ...picture }) => ({ ...picture, ...(await signGet(env, key, url_ttl)) }))
	return { ...snapshot, images: await Promise.all(images) }
}
