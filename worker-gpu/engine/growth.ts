/** Bytes that the process may grow by before it gives way to a fresh one. Caches and larger pictures take some. */
const MOST_GROWTH = 2 ** 30
/** Milliseconds: one that has grown so much so soon needs that much. */
const SOON = 600_000

/** How much the engine's process has grown since it had loaded what it works with: native code leaks, and a fresh process does not. */
export class Growth {
	#allowed: number
	/** Bytes when it was looked at first; 0 before that. */
	#first = 0
	#since = performance.now()

	constructor(most = MOST_GROWTH) {
		this.#allowed = most
	}

	/** A process is started. */
	begin(): void {
		this.#first = 0
		this.#since = performance.now()
	}

	/** A graph is being loaded, the first time or once more: what that takes is no growth. */
	forgive(): void {
		this.#first = 0
	}

	/** From what to what it has grown, where that is too much; the next process may grow further, where this one needed it soon. */
	exceeded(bytes: number): string | undefined {
		this.#first ||= bytes
		if (bytes - this.#first < this.#allowed) {
			return undefined
		}
		if (performance.now() - this.#since < SOON) {
			this.#allowed *= 2
		}
		return `from ${megabytes(this.#first)} to ${megabytes(bytes)}`
	}
}

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MB`
