/** Characters, a byte each, of partial images that are there for late readers, of all generations of an isolate: it has 128 MB for everything. */
const room = 24 * 1024 * 1024

interface Kept {
	readonly size: number
	drop(): void
}

/** The oldest first. */
const all = new Set<Kept>()
let used = 0

/** Counts one in. Where there is no room for it the oldest are dropped: most likely there are later ones of those pictures, or the pictures themselves. */
export function keep(kept: Kept): void {
	all.add(kept)
	used += kept.size
	for (const oldest of all) {
		if (used <= room) {
			return
		}
		all.delete(oldest)
		used -= oldest.size
		oldest.drop()
	}
}
