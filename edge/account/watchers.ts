import { isTerminal } from '../../shared/contract/generation.ts'
import type { Env } from '../env.ts'
import type { Generations } from './generations.ts'
import type { Snapshot } from './snapshot.ts'

interface Parts {
	env: Env
	generations: Generations
	/** Goes on with it after the answer. */
	defer(work: Promise<unknown>): void
}

/** The generations that have a Viewer, as far as is known since the Account woke up. Each is told of every change of its own, until the end or until nobody is there. */
export class Watchers {
	readonly #parts: Parts
	/** Each with a number of the last time when its Viewer asked. */
	readonly #watched = new Map<string, number>()
	#asked = 0
	/** What is to be told when the transaction that runs now is done. */
	readonly #seen = new Map<string, Snapshot>()

	constructor(parts: Parts) {
		this.#parts = parts
	}

	has(id: string): boolean {
		return this.#watched.has(id)
	}

	/** How it stands; its Viewer is told of what changes from now on. */
	watch(id: string): Snapshot {
		const snapshot = this.#parts.generations.read(id)
		if (!isTerminal(snapshot.status)) {
			this.#asked += 1
			this.#watched.set(id, this.#asked)
		}
		return snapshot
	}

	/** Inside a transaction, once it has done something to a generation. */
	see(id: string): void {
		const { generations } = this.#parts
		if (this.#watched.has(id) && generations.find(id)) {
			this.#seen.set(id, generations.read(id))
		}
	}

	/** A transaction begins: what the one before has seen and not kept is nobody's business. */
	forget(): void {
		this.#seen.clear()
	}

	/** The transaction is done. Viewers look by themselves from time to time, so this may fail. */
	tell(): void {
		for (const [id, snapshot] of this.#seen) {
			this.#parts.defer(this.#tell(id, snapshot).catch(() => {}))
			if (isTerminal(snapshot.status)) {
				this.#watched.delete(id)
			}
		}
	}

	async #tell(id: string, snapshot: Snapshot): Promise<void> {
		const asked = this.#watched.get(id)
		const isAnyoneThere = await this.#parts.env.VIEWER.getByName(id).tell(snapshot)
		// It may have asked again while its answer was on the way.
		if (!isAnyoneThere && this.#watched.get(id) === asked) {
			this.#watched.delete(id)
		}
	}
}
