import { ProblemError } from './errors.ts'
import { soon } from './soon.ts'

/** Milliseconds: where somebody sends a body. */
const begun = 10_000
/** Bytes in a millisecond, half a megabit in a second: who is slower keeps the room of those who are not. */
const pace = 64

/** Milliseconds that whoever sends so many bytes has for them. */
export const timeFor = (bytes: number): number => begun + Math.ceil(bytes / pace)

/** What `reading` reads, if it takes less than `left` of the time that there is for `bytes` bytes. Throws `too-slow`. */
export async function inTime<T>(reading: Promise<T>, bytes: number, left = timeFor(bytes)): Promise<T> {
	if (await soon(reading, left)) {
		return reading
	}
	const seconds = Math.round(timeFor(bytes) / 1_000)
	const detail = `Expected the body, of at most ${bytes} bytes, within ${seconds} seconds; it was still coming.`
	throw new ProblemError({ code: 'too-slow', detail })
}
