import { z } from 'zod'
import { Amount } from '../pricing.ts'
import { KeyId, LedgerEntry } from './account.ts'
import { Status } from './generation.ts'

const Time = z.iso.datetime()
const ArchivedKind = LedgerEntry.shape.kind.exclude(['credit', 'debit'])
export type ArchivedKind = z.infer<typeof ArchivedKind>

/** One line of an archive: what is kept of a generation for good. What was asked for is not: no prompt, no input, no seed. */
export const ArchivedGeneration = z.strictObject({
	id: z.string(),
	model: z.string(),
	key: KeyId.nullable().describe('The key that ordered it.'),
	status: Status,
	price: Amount.describe('Of one picture.'),
	count: z.int(),
	refunded: Amount,
	created_at: Time,
	started_at: Time.nullable(),
	completed_at: Time,
	pictures: z
		.array(
			z.strictObject({
				n: z.int(),
				key: z.string(),
				size: z.int(),
				etag: z.string(),
				captured_at: Time,
				batch: z.string().nullable().describe('The meter event that counted it.')
			})
		)
		.describe('Delivered and charged: what was seen in storage, and when.'),
	entries: z
		.array(LedgerEntry.pick({ id: true, at: true, amount: true, picture: true }).extend({ kind: ArchivedKind }))
		.describe("The ledger's.")
})
export type ArchivedGeneration = z.infer<typeof ArchivedGeneration>

/** A file of such lines (NDJSON, gzip): a range of the account's oldest generations, which are no longer in its lists. */
export const Archive = z.strictObject({
	first: z.string().describe('The ids of its first and last generation, in the order of their making.'),
	last: z.string(),
	archived_at: Time,
	generations: z.int(),
	pictures: z.int(),
	entries: z.int(),
	amounts: z
		.strictObject({ hold: Amount, capture: Amount, release: Amount, refund: Amount })
		.describe('The sums of its entries by kind, in micro-units.'),
	size: z.int().describe('Bytes of the file.'),
	sha256: z.string().describe('Of the file, in hexadecimal.'),
	url: z.url().describe('A signed URL that needs no key; it stops working at `expires_at`.'),
	expires_at: Time
})
export type Archive = z.infer<typeof Archive>
