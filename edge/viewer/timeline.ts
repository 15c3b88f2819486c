import type { PartialImage, Preview } from '../../shared/contract/callbacks.ts'
import { isTerminal, type Standing } from '../../shared/contract/generation.ts'
import type { Snapshot } from '../account/snapshot.ts'
import { keep } from './room.ts'

/** What readers are told of; the URLs of its pictures are signed on the way out. */
export type Happening =
	| { type: 'status'; status: Snapshot['status'] }
	| ({ type: 'queue' } & Standing)
	| { type: 'progress'; done: number; total: number }
	| ({ type: 'preview' } & Preview)
	| ({ type: 'partial_image' } & PartialImage)
	| { type: 'image'; of: Snapshot; n: number }
	| { type: 'end'; of: Snapshot }

export interface Entry {
	/** Counts up, with a gap where a later entry replaced an earlier one. */
	seq: number
	happening: Happening
}

/**
 * What happened to one generation, of each kind the latest alone: its status, its place in line, its progress, a preview of each picture, each partial image, each picture. Slow and late readers skip
 * what was replaced, so that no backlog grows and no reader holds up another.
 */
export class Timeline {
	readonly #entries = new Map<string, Entry>()
	#seq = 0
	readonly #end = Promise.withResolvers<Snapshot>()
	#hasEnded = false
	#isQueued = false
	#grown = Promise.withResolvers<void>()

	/** Takes in how the generation stands. */
	see(snapshot: Snapshot): void {
		if (this.#hasEnded) {
			return
		}
		const { status, progress, images } = snapshot
		const isEnd = isTerminal(status)
		this.#isQueued = status === 'queued'
		if (!this.#isQueued) {
			this.#entries.delete(kindOf({ type: 'queue' }))
		}
		if (!isEnd) {
			this.add({ type: 'status', status })
		}
		if (progress) {
			this.add({ type: 'progress', ...progress })
		}
		for (const { n } of images) {
			if (!this.#entries.has(kindOf({ type: 'image', n }))) {
				this.add({ type: 'image', of: snapshot, n })
			}
		}
		if (isEnd) {
			this.add({ type: 'end', of: snapshot })
			this.#hasEnded = true
			this.#end.resolve(snapshot)
		}
	}

	/** The first entry after `seq`, if it is there already. */
	after(seq: number): Entry | undefined {
		return this.#entries.values().find((entry) => entry.seq > seq)
	}

	/** The number of the latest entry. */
	get latest(): number {
		return this.#seq
	}

	get hasEnded(): boolean {
		return this.#hasEnded
	}

	get isQueued(): boolean {
		return this.#isQueued
	}

	/** The generation once it has ended. */
	get ended(): Promise<Snapshot> {
		return this.#end.promise
	}

	/** Resolves with the next entry that is added, or by `wake`. */
	get grown(): Promise<void> {
		return this.#grown.promise
	}

	add(happening: Happening): void {
		const kind = kindOf(happening)
		// Previews travel by themselves: who has the picture would take one for it, and who has the end would wait for another.
		if (this.#hasEnded || (happening.type === 'preview' && this.#entries.has(kindOf({ type: 'image', n: happening.n })))) {
			return
		}
		if (JSON.stringify(this.#entries.get(kind)?.happening) === JSON.stringify(happening)) {
			return
		}
		// Deleted first: a Map keeps a key that it has where it is, and entries are in the order of their numbers.
		this.#entries.delete(kind)
		this.#seq += 1
		this.#entries.set(kind, { seq: this.#seq, happening })
		if (happening.type === 'partial_image') {
			keep({ size: happening.data.length, drop: dropper(this.#entries, kind, this.#seq) })
		}
		this.wake()
	}

	/** Whoever waits for the next entry looks again. */
	wake(): void {
		this.#grown.resolve()
		this.#grown = Promise.withResolvers<void>()
	}
}

/** What removes an entry: it may be kept for long after the Viewer has vanished, and holds nothing of what that knew. */
function dropper(entries: Map<string, Entry>, kind: string, seq: number): () => void {
	const weakly = new WeakRef(entries)
	return () => {
		const there = weakly.deref()
		if (there?.get(kind)?.seq === seq) {
			there.delete(kind)
		}
	}
}

/** Of one kind the latest alone is told. */
const kindOf = (happening: Pick<Happening, 'type'> & { n?: number; index?: number }): string =>
	[happening.type, happening.n, happening.index].join(' ')
