import { expect, it, vi } from 'vitest'
import { ProblemError } from './errors.ts'
import { BrokenOff, Held } from './held.ts'

const mebibyte = 1024 * 1024
const piece = new Uint8Array(mebibyte / 4).map((_, i) => i % 251)

/** A stream of bytes in pieces, which breaks off after them where it is told to. */
function streamOf(bytes: number, { breaks = false } = {}): ReadableStream<Uint8Array> {
	let left = bytes
	return new ReadableStream({
		type: 'bytes',
		pull(controller) {
			const next = piece.slice(0, Math.min(left, piece.length))
			left -= next.length
			if (next.length > 0) {
				controller.enqueue(next)
			} else if (breaks) {
				controller.error(new Error('gone'))
			} else {
				controller.close()
				controller.byobRequest?.respond(0)
			}
		}
	})
}

it.each([
	[0, 0],
	[1, 1],
	[65_536, 65_536],
	[65_537, undefined],
	[3_000_000, 3_000_000],
	[3_000_000, undefined],
	// More than was announced, and less.
	[3_000_000, 70_000],
	[70_000, 3_000_000]
])('holds %d bytes of which %j were announced', async (length, announced) => {
	const held = await Held.read(streamOf(length), 4_000_000, announced)
	expect(held.bytes.length).toBe(length)
	const wrong = held.bytes.findIndex((byte, i) => byte !== (i % piece.length) % 251)
	expect(wrong).toBe(-1)
	const view = held.bytes
	held.release()
	held.release()
	expect([view.length, held.bytes.length]).toEqual([0, 0])
})

it('holds no more than one byte of what is too much', async () => {
	for (const announced of [undefined, 100_000, 300_000]) {
		const held = await Held.read(streamOf(mebibyte), 200_000, announced)
		expect(held.bytes.length).toBe(200_001)
		held.release()
	}
})

it('tells how much came before a stream broke off', async () => {
	await expect(Held.read(streamOf(300_000, { breaks: true }), mebibyte)).rejects.toMatchObject({ length: 300_000 })
	await expect(Held.read(streamOf(0, { breaks: true }), mebibyte)).rejects.toBeInstanceOf(BrokenOff)
})

it('has room for all in turn, however many come at once, and whether or not they announce their length', async () => {
	let [together, most] = [0, 0]
	const lengths = Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? 20 : 13) * mebibyte)
	const all = lengths.map(async (length, i) => {
		const held = await Held.read(streamOf(length), 20 * mebibyte, i % 2 ? length : undefined)
		together += held.bytes.length
		most = Math.max(most, together)
		await scheduler.wait(10)
		together -= length
		held.release()
	})
	await Promise.all(all)
	expect(most).toBeGreaterThan(20 * mebibyte)
	expect(most).toBeLessThanOrEqual(48 * mebibyte)
})

it('lets go of one that comes too slowly, and of its room', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
	const { readable, writable } = new IdentityTransformStream()
	const writer = writable.getWriter()
	const refused = expect(Held.read(readable, mebibyte, 640_000)).rejects.toMatchObject({
		fault: { code: 'too-slow', detail: expect.stringContaining('at most 640000 bytes, within 20 seconds') }
	})
	for (let second = 0; second < 20; second++) {
		await writer.write(new Uint8Array(1))
		await vi.advanceTimersByTimeAsync(1_000)
	}
	vi.useRealTimers()
	await refused
	// All the room that there is.
	const whole = 24 * mebibyte - 1
	for (const held of await Promise.all([1, 2].map(() => Held.read(streamOf(whole), whole)))) {
		held.release()
	}
})

it('says that there is no room where nobody makes any', async () => {
	const both = await Promise.all([1, 2].map(() => Held.read(streamOf(20 * mebibyte), 20 * mebibyte)))
	const third = Held.read(streamOf(20 * mebibyte), 20 * mebibyte)
	await expect(third).rejects.toSatisfy((error) => error instanceof ProblemError && error.fault.code === 'busy')
	for (const held of both) {
		held.release()
	}
	;(await Held.read(streamOf(20 * mebibyte), 20 * mebibyte)).release()
})
