import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import golden from '../golden/noise.json' with { type: 'json' }
import { generator } from './noise.ts'

test.each(Object.entries(golden.md5OfSize))('randn(%s) has the bits that torch gives it', (size, md5) => {
	const hash = createHash('md5')
	for (const seed of golden.seeds) {
		const { data } = generator(seed).normal([Number(size)])
		hash.update(new Uint8Array(data.buffer))
	}
	expect(hash.digest('hex')).toBe(md5)
})

test('the values of a short and of a ragged draw', () => {
	expect([...generator(42).normal([3]).data]).toEqual(golden.values['3'].map(Math.fround))
	expect([...generator(42).normal([17]).data]).toEqual(golden.values['17'].map(Math.fround))
})

test('draws in a row, across both algorithms, from a state that was copied in between', () => {
	let noise = generator(7)
	for (const values of golden.inARow) {
		expect([...noise.normal([values.length]).data]).toEqual(values.map(Math.fround))
		noise = generator(structuredClone(noise.state))
	}
})

test('dimensions do not change the draw', () => {
	expect(generator(5).normal([4, 2, 8]).data).toEqual(generator(5).normal([64]).data)
	expect(generator(5).normal([4, 2, 8]).dims).toEqual([4, 2, 8])
})

test.each([-1, 0.5, 2 ** 32, Number.NaN])('refuses the seed %s', (seed) => {
	expect(() => generator(seed)).toThrow(`expected an integer from 0 to 4294967295, got ${seed}`)
})
