import type { Generation, Picture } from '../../shared/contract/generation.ts'

/** A generation as its Account knows it: pictures have a key in R2; the routes sign their URLs, for `url_ttl` seconds. */
export type Snapshot = Omit<Generation, 'images'> & {
	images: (Omit<Picture, 'url' | 'expires_at'> & { key: string })[]
	url_ttl: number
}
