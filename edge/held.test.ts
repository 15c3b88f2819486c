import { expect, it, vi } from 'vitest'
import { ProblemError } from './errors.ts'
import { BrokenOff, Held } from './held.ts'
import { patience } from './testing.ts'

const mebibyte = 1024 * 1024
const piece = new Uint8Array(mebibyte / 4).map((_, i) => i % 251)

/** A stream of bytes in pieces, which after them waits where it `stalls`, and breaks off where it is told to. */
function streamOf(bytes: number, { breaks = false, stalls = async () => {} } = {}): ReadableStream<Uint8Array> {
	let left = bytes
	return new ReadableStream({
		type: 'bytes',
		async pull(controller) {
			const next = piece.slice(0, Math.min(left, piece.length))
			left -= next.length
			if (next.length > 0) {
				controller.enqueue(next)
				return
			}
			await stalls()
			if (breaks) {
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
	const held = await Held.read('one', streamOf(length), 4_000_000, announced)
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
		const held = await Held.read('one', streamOf(mebibyte), 200_000, announced)
		expect(held.bytes.length).toBe(200_001)
		held.release()
	}
})

it('tells how much came before a stream broke off', async () => {
	await expect(Held.read('one', streamOf(300_000, { breaks: true }), mebibyte)).rejects.toMatchObject({ length: 300_000 })
	await expect(Held.read('one', streamOf(0, { breaks: true }), mebibyte)).rejects.toBeInstanceOf(BrokenOff)
})

it.each([
	[['one'], 28],
	[['one', 'two', 'three'], 48]
])(
	'has room for all in turn, however many come at once, and whether or not they announce their length: of %j',
	async (accounts, room) => {
		let [together, most] = [0, 0]
		const lengths = Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? 20 : 13) * mebibyte)
		const all = lengths.map(async (length, i) => {
			const held = await Held.read(accounts[i % accounts.length]!, streamOf(length), 20 * mebibyte, i % 2 ? length : undefined)
			together += held.bytes.length
			most = Math.max(most, together)
			await scheduler.wait(10)
			together -= length
			held.release()
		})
		await Promise.all(all)
		expect(most).toBeGreaterThanOrEqual(20 * mebibyte)
		expect(most).toBeLessThanOrEqual(room * mebibyte)
	}
)

it('leaves room for the largest body of others, whatever one account sends', async () => {
	const { promise: goOn, resolve } = Promise.withResolvers<void>()
	let stalled = 0
	const send = async () => {
		const stalls = () => {
			stalled += 1
			return goOn
		}
		;(await Held.read('slow', streamOf(9 * mebibyte, { stalls }), 9 * mebibyte)).release()
	}
	const slow: Promise<void>[] = []
	for (let i = 1; i <= 3; i++) {
		slow.push(send())
		await vi.waitFor(() => expect(stalled).toBe(i), patience)
	}
	slow.push(send(), send())
	for (let i = 0; i < 3; i++) {
		;(await Held.read('quick', streamOf(20 * mebibyte), 20 * mebibyte)).release()
	}
	expect(stalled).toBe(3)
	resolve()
	await Promise.allSettled(slow)
})

it('lets go of one that comes too slowly, and of its room', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
	const { readable, writable } = new IdentityTransformStream()
	const writer = writable.getWriter()
	const refused = expect(Held.read('one', readable, mebibyte, 640_000)).rejects.toMatchObject({
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
	for (const held of await Promise.all(['one', 'two'].map((account) => Held.read(account, streamOf(whole), whole)))) {
		held.release()
	}
})

it('says that there is too much, where a stream breaks off that had to wait for room', async () => {
	const whole = 24 * mebibyte - 1
	const both = await Promise.all(['one', 'two'].map((account) => Held.read(account, streamOf(whole), whole)))
	const third = Held.read('three', streamOf(300_000, { breaks: true }), mebibyte)
	for (const held of both) {
		held.release()
	}
	await expect(third).rejects.toMatchObject({
		fault: { code: 'busy', detail: expect.stringMatching(/^They broke off after 300000 /) }
	})
})

it('says that there is no room where nobody makes any', async () => {
	const both = await Promise.all(['one', 'two'].map((account) => Held.read(account, streamOf(20 * mebibyte), 20 * mebibyte)))
	const third = Held.read('three', streamOf(20 * mebibyte), 20 * mebibyte)
	await expect(third).rejects.toSatisfy((error) => error instanceof ProblemError && error.fault.code === 'busy')
	for (const held of both) {
		held.release()
	}
	;(await Held.read('one', streamOf(20 * mebibyte), 20 * mebibyte)).release()
})
