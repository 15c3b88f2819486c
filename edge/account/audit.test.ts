import { runInDurableObject } from 'cloudflare:test'
import { expect, it } from 'vitest'
import { call, deliver, env, newAccount, post, put } from '../testing.ts'
import { audit, auditPart, auditParts } from './audit.ts'
import { openBooks } from './books.ts'

/** An account whose pictures are metered: one generation is under way, of another one picture was delivered, and refunded. */
async function busyAccount(): Promise<string> {
	const { account, key } = await newAccount()
	const named = await put(`/v1/admin/accounts/${account}/metering`, env.ADMIN_TOKEN, { stripe_customer: 'cus_1' })
	expect(named.status).toBe(200)
	const ids: string[] = []
	for (let i = 0; i < 2; i++) {
		const ordered = await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere', seed: 5, count: 2 })
		const { id } = await ordered.json<{ id: string }>()
		ids.push(id)
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, 5)
	}
	await post(`/v1/generations/${ids[0]}/cancel`, key, '')
	expect((await post(`/v1/admin/accounts/${account}/generations/${ids[0]}/refund`, env.ADMIN_TOKEN, '')).status).toBe(200)
	return account
}

const ended = "(SELECT id FROM generations WHERE status = 'canceled')"
const open = "(SELECT id FROM generations WHERE status = 'processing')"

it('finds whatever is changed in the books', async () => {
	const account = await busyAccount()
	await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) => {
		const { ledger } = openBooks(storage, () => {})
		const found = (change: string): string[] => {
			let differences: string[] = []
			const undo = new Error('undone')
			try {
				storage.transactionSync(() => {
					storage.sql.exec(change)
					differences = audit(storage.sql, ledger)
					throw undo
				})
			} catch (error) {
				expect(error).toBe(undo)
			}
			return differences
		}
		expect(audit(storage.sql, ledger)).toEqual([])
		const allowance = 'an allowance that its generations do not use'
		const plants: [string, string][] = [
			["UPDATE tallies SET available = available - 1, held = held + 1 WHERE subject = ''", 'balance held'],
			["UPDATE tallies SET available = available - 1, charged = charged + 1 WHERE subject = ''", 'balance charged'],
			["UPDATE tallies SET in_flight = in_flight + 1 WHERE subject = ''", allowance],
			["UPDATE tallies SET in_flight = in_flight + 1 WHERE subject <> ''", allowance],
			["UPDATE tallies SET held = held + 1 WHERE subject <> ''", allowance],
			["DELETE FROM tallies WHERE subject <> ''", allowance],
			["DELETE FROM ledger WHERE kind = 'credit'", 'balance available'],
			["DELETE FROM ledger WHERE kind = 'release'", 'a hold that does not fit its generation'],
			[`DELETE FROM ledger WHERE kind = 'capture' AND generation = ${open}`, 'a picture not charged at its price'],
			["UPDATE ledger SET amount = amount + 1 WHERE kind = 'capture'", 'a picture not charged at its price'],
			['DELETE FROM pictures', 'a charge without its picture'],
			[`UPDATE generations SET count = count + 1 WHERE id = ${open}`, 'a hold that does not fit its generation'],
			[`UPDATE generations SET status = 'queued' WHERE id = ${ended}`, 'a hold that does not fit its generation'],
			[`UPDATE generations SET refunded = 0 WHERE id = ${ended}`, 'a refund that does not fit its generation'],
			["DELETE FROM ledger WHERE kind = 'refund'", 'a refund that does not fit its generation'],
			[`DELETE FROM generations WHERE id = ${ended}`, 'money of a generation that there is not'],
			['UPDATE usage SET pictures = pictures + 1', 'usage that the pictures do not make'],
			['DELETE FROM usage', 'usage that the pictures do not make'],
			[
				"INSERT INTO usage (day, key, model, pictures, amount) VALUES ('2026-01-01', 'k', 'm', 1, 1)",
				'usage that the pictures do not make'
			],
			['UPDATE batches SET pictures = pictures + 1', 'a meter event that does not count its pictures'],
			['DELETE FROM metered', 'a meter event that does not count its pictures']
		]
		for (const [change, expected] of plants) {
			expect(found(change), change).toContainEqual(expect.stringContaining(expected))
		}
		const many = `INSERT INTO pictures
			WITH RECURSIVE numbers (i) AS (SELECT 9 UNION ALL SELECT i + 1 FROM numbers WHERE i < 10010)
			SELECT ${ended}, i, i, 4, 'e', 0, 'image/png', 1, 1, 1 FROM numbers`
		const unpaid = found(many).filter((difference) => difference.startsWith('a picture not charged'))
		expect(unpaid).toHaveLength(10_001)
		expect(unpaid.at(-1)).toBe('a picture not charged at its price: more than 10000 in all')
		expect(audit(storage.sql, ledger)).toEqual([])
		// In parts, of which none takes as long as all.
		storage.sql.exec(
			`INSERT INTO generations (id, request, status, epoch, created_at, price)
			WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 1000)
			SELECT 'gen_' || i, '{}', 'queued', 1, 0, 1 FROM numbers`
		)
		const unheld = Array.from(
			{ length: auditParts },
			(_, part) => auditPart(storage.sql, ledger, part).filter((difference) => difference.startsWith('a hold')).length
		)
		expect(unheld.reduce((sum, n) => sum + n)).toBe(1_000)
		expect(Math.max(...unheld)).toBeLessThan(500)
	})
})
