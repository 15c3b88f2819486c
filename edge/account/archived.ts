import type { ArchivedGeneration, ArchivedKind } from '../../shared/contract/archive.ts'

/** What the lines of an archive come to: how many, and the sums of their entries by kind, in micro-units. */
export type Sums = Record<'generations' | 'pictures' | 'entries' | ArchivedKind, number>

/** Recounts lines, each by itself as the audit does what is not archived. Throws where one does not agree with itself. */
export function sumUp(lines: readonly ArchivedGeneration[]): Sums {
	const sums: Sums = { generations: 0, pictures: 0, entries: 0, hold: 0, capture: 0, release: 0, refund: 0 }
	for (const { id, key, price, count, refunded, pictures, entries } of lines) {
		const of: Record<ArchivedKind, number> = { hold: 0, capture: 0, release: 0, refund: 0 }
		for (const { kind, amount } of entries) {
			of[kind] += amount
		}
		const charges = entries.filter(({ kind }) => kind === 'capture').map(({ picture, amount }) => `${picture}: ${amount}`)
		expectSame(id, 'held', price * count, of.hold)
		expectSame(id, 'released', price * (count - pictures.length), of.release)
		expectSame(
			id,
			'charged',
			(price > 0 ? pictures : [])
				.map(({ n }) => `${n}: ${price}`)
				.sort()
				.join(),
			charges.sort().join()
		)
		expectSame(id, 'refunded', refunded, of.refund)
		sums.generations++
		// Those from before keys were noted are in no usage.
		sums.pictures += key === null ? 0 : pictures.length
		sums.entries += entries.length
		for (const kind of Object.keys(of) as ArchivedKind[]) {
			sums[kind] += of[kind]
		}
	}
	return sums
}

function expectSame(id: string, what: string, expected: number | string, got: number | string): void {
	if (expected !== got) {
		throw new Error(`${id}: expected ${expected} ${what}, got ${got}`)
	}
}
