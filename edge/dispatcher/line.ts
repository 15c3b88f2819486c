import type { Standing } from '../../shared/contract/generation.ts'

/** Milliseconds for which what left the line counts, and without a look after which nothing is known of its pace. */
const memory = 30_000
const tooLong = 10_000
/** Milliseconds of looking from which on there is a pace to tell of. */
const soonest = 3_000

/** How many of a line are looked at. */
export const longest = 1_000

/** Who waits in a model's queue, seen again and again, and how fast it gets shorter at its front. */
export class Line {
	#ids: readonly string[] = []
	#seenAt = Number.NEGATIVE_INFINITY
	/** How many have left, and in how many milliseconds: older ones count less and less. */
	#left = 0
	#time = 0
	/** When each of them was missed. Its node may still be on the way to say that it has begun. */
	readonly #missed = new Map<string, number>()

	/** Takes in the ids of the first `longest` that wait now, the next one first. */
	see(ids: readonly string[], now: number): void {
		const elapsed = now - this.#seenAt
		if (elapsed > tooLong) {
			this.#left = 0
			this.#time = 0
		} else {
			const present = new Set(ids)
			// Who was far behind may have been pushed out of sight by others.
			const left = this.#ids.slice(0, longest / 2).filter((id) => !present.has(id))
			for (const id of left) {
				this.#missed.set(id, now)
			}
			const kept = Math.exp(-elapsed / memory)
			this.#left = this.#left * kept + left.length
			this.#time = this.#time * kept + elapsed
		}
		for (const [id, at] of this.#missed) {
			if (now - at > memory) {
				this.#missed.delete(id)
			}
		}
		this.#ids = ids
		this.#seenAt = now
	}

	/** Where a job stands, or will once `before` more of its account are in line; undefined where it is in the queue, but not in line. */
	standing(id: string, before: number | null): Standing | undefined {
		const place = this.#ids.indexOf(id)
		if (place < 0 && before === null && (this.#ids.length < longest || this.#missed.has(id))) {
			return undefined
		}
		const position = place < 0 ? this.#ids.length + (before ?? 0) : place
		const pace = this.#time < soonest ? 0 : this.#left / this.#time
		return { position, eta: pace > 0 ? Math.round((position + 1) / pace / 1_000) : null }
	}
}
