import { waitUntil } from 'cloudflare:workers'
import { ProblemError } from './errors.ts'
import { inTime, timeFor } from './in-time.ts'

/** Bytes of bodies and files that an isolate holds at once: it has 128 MB for all the requests that it serves, and over that they are all killed. */
const room = 48 * 1024 * 1024
/** Of these, what one account may hold: others always have room for the largest body that there is. */
const share = 28 * 1024 * 1024 - 1
/** Milliseconds: how long one waits until others are done, and how often it looks. */
const patience = 10_000
const pause = 100
/** Bytes that it begins with; then it doubles. */
const first = 64 * 1024

/** A stream failed after `length` bytes. */
export class BrokenOff extends Error {
	override name = 'BrokenOff' as const
	readonly length: number

	constructor(length: number, cause: unknown) {
		super(`The stream broke off after ${length} bytes`, { cause })
		this.length = length
	}
}

/**
 * A large body or file, once in memory: read into one buffer, which grows as bytes come and there is room for them, and let go of at once, without
 * waiting for a collector of garbage. Whoever has one releases it.
 */
export class Held {
	static readonly #all = new Set<Held>()
	readonly #account: string
	#buffer = new ArrayBuffer(0)
	#length = 0
	/** Bytes of the buffer, which at times is lent to a stream; and how many they may become. */
	#size = 0
	#whole: number
	#hasWaited = false
	readonly #released = Promise.withResolvers<void>()

	private constructor(account: string, whole: number) {
		this.#account = account
		this.#whole = whole
		Held.#all.add(this)
		// A request whose client has gone would end where it waits, and its bytes would count for ever.
		waitUntil(this.#released.promise)
	}

	/**
	 * All of `stream`, which announces so many bytes; of one with more than `most` its first `most` + 1.
	 *
	 * @param account whose share of the room it takes
	 * @throws ProblemError `busy` where no room was made, or not before it broke off, `too-slow`; BrokenOff
	 */
	static async read(account: string, stream: ReadableStream<Uint8Array> | null, most: number, announced = most): Promise<Held> {
		const expected = Math.min(announced, most)
		// One more tells that there are too many.
		const held = new Held(account, expected + 1)
		const reader = stream?.getReader({ mode: 'byob' })
		// To wait for room does not count.
		let left = timeFor(expected)
		try {
			for (let isDone = !reader; !isDone && held.#length <= most; ) {
				if (held.#length === held.#size) {
					// More may have come than was announced.
					held.#whole = held.#size < held.#whole ? held.#whole : most + 1
					await held.#grow(Math.min(2 * held.#size || first, held.#whole))
				}
				const asked = Date.now()
				const reading = reader!.read(new Uint8Array(held.#buffer, held.#length))
				const { done, value } = await inTime(reading, expected, left)
				left -= Date.now() - asked
				held.#buffer = value!.buffer as ArrayBuffer
				held.#length += value!.byteLength
				isDone = done
			}
			held.#whole = held.#size
			reader?.releaseLock()
			return held
		} catch (error) {
			const length = held.#length
			held.release()
			if (error instanceof ProblemError) {
				if (error.fault.code === 'busy') {
					reader?.releaseLock() // Nothing is being read: the rest is for whoever throws it away.
				}
				throw error
			}
			// Whoever sends may have had no patience for that.
			throw held.#hasWaited
				? busy(`They broke off after ${length} bytes, and had to wait for room`)
				: new BrokenOff(length, error)
		}
	}

	get bytes(): Uint8Array<ArrayBuffer> {
		return new Uint8Array(this.#buffer, 0, this.#length)
	}

	async #grow(size: number): Promise<void> {
		for (let waited = 0; !this.#mayHave(size); waited += pause) {
			if (waited >= patience) {
				throw busy(`There was no room for ${size} bytes within ${patience / 1_000} seconds`)
			}
			this.#hasWaited = true
			await scheduler.wait(pause)
		}
		this.#size = size
		this.#buffer = this.#buffer.transfer(size)
	}

	/**
	 * Whether all would have room to end in some order, so that none of them waits for ever for another (Dijkstra's banker), and all of the account's in
	 * its share. Both ask for the order in which those come first that need least, so that it is one.
	 */
	#mayHave(size: number): boolean {
		const all = [...Held.#all]
			.map((held) => {
				const has = held === this ? size : held.#size
				return { has, needs: held.#whole - has, isOwn: held.#account === this.#account }
			})
			.sort((a, b) => a.needs - b.needs)
		const own = all.filter(({ isOwn }) => isOwn)
		return canAllEnd(all, room) && canAllEnd(own, share)
	}

	/** What was read is gone, also for those who still have views of it. */
	release(): void {
		Held.#all.delete(this)
		this.#length = 0
		// One that was lent to a stream that failed does not come back.
		this.#buffer = this.#buffer.detached ? new ArrayBuffer(0) : this.#buffer.transfer(0)
		this.#released.resolve()
	}
}

const busy = (what: string) =>
	new ProblemError({ code: 'busy', detail: `${what}; others send large bodies, too.`, retryAfter: 5 })

function canAllEnd(all: readonly { has: number; needs: number }[], room: number): boolean {
	let free = all.reduce((rest, { has }) => rest - has, room)
	return all.every(({ has, needs }) => {
		const isEnough = needs <= free
		free += has
		return isEnough
	})
}
