import type { Ledger } from './ledger.ts'

/** Of one kind: where all differ there are more than an object's memory holds. */
const mostTold = 10_000

/** Recounts everything from the rows that cannot change, and tells each difference from what is kept; none is as it should be. */
export const audit = (sql: SqlStorage, ledger: Ledger): string[] =>
	Array.from({ length: auditParts }, (_, part) => auditPart(sql, ledger, part)).flat()

/** One of its `auditParts` parts. Each reads all rows of a table or two, which of a million orders takes seconds: in between, others are served. */
export function auditPart(sql: SqlStorage, ledger: Ledger, part: number): string[] {
	const check = checks[part]
	if (!check) {
		return balances(ledger)
	}
	const { what, query } = check
	const rows = sql.exec(`${query} LIMIT ${mostTold + 1}`).toArray()
	const told = rows.slice(0, mostTold).map((row) => `${what}: ${JSON.stringify(row)}`)
	return rows.length > mostTold ? [...told, `${what}: more than ${mostTold} in all`] : told
}

function balances(ledger: Ledger): string[] {
	const { funds: _, ...counted } = ledger.recount()
	const kept = ledger.balance()
	return (Object.keys(counted) as (keyof typeof counted)[])
		.filter((side) => counted[side] !== kept[side])
		.map((side) => `balance ${side}: the entries make ${counted[side]}, got ${kept[side]}`)
}

/** Holds have no index, so they are sorted by generation, which takes longest of all: so many times, those of a part of all ids, which end by chance. */
const quarters = 4
const isIn = (quarter: number, id: string) => `unicode(substr(${id}, -1)) % ${quarters} = ${quarter}`

const checks = [
	{
		what: 'a charge without its picture',
		query: `SELECT l.generation, l.picture FROM ledger l LEFT JOIN pictures p ON p.generation = l.generation AND p.n = l.picture
			WHERE l.kind = 'capture' AND p.n IS NULL`
	},
	{
		what: 'a picture not charged at its price',
		query: `SELECT p.generation, p.n, g.price, l.amount FROM pictures p JOIN generations g ON g.id = p.generation
			LEFT JOIN ledger l ON l.kind = 'capture' AND l.generation = p.generation AND l.picture = p.n
			WHERE coalesce(l.amount, 0) <> g.price`
	},
	...Array.from({ length: quarters }, (_, quarter) => ({
		what: 'a hold that does not fit its generation',
		query: `SELECT g.id, g.status, coalesce(h.held, 0) AS held FROM generations g LEFT JOIN (
				SELECT generation, sum(CASE kind WHEN 'hold' THEN amount WHEN 'refund' THEN 0 ELSE -amount END) AS held
				FROM ledger WHERE ${isIn(quarter, 'generation')} GROUP BY generation
			) h ON h.generation = g.id
			WHERE ${isIn(quarter, 'g.id')} AND coalesce(h.held, 0) <> CASE WHEN g.status IN ('queued', 'processing')
				THEN g.price * (g.count - (SELECT count(*) FROM pictures p WHERE p.generation = g.id)) ELSE 0 END`
	})),
	{
		what: 'a refund that does not fit its generation',
		query: `SELECT g.id, g.refunded, coalesce(r.refunded, 0) AS entries FROM generations g LEFT JOIN (
				SELECT generation, sum(amount) AS refunded FROM ledger WHERE kind = 'refund' GROUP BY generation
			) r ON r.generation = g.id
			WHERE coalesce(r.refunded, 0) <> g.refunded`
	},
	{
		what: 'money of a generation that there is not',
		query:
			'SELECT DISTINCT generation FROM ledger WHERE generation IS NOT NULL AND generation NOT IN (SELECT id FROM generations)'
	},
	{
		what: 'an allowance that its generations do not use',
		query: `WITH open AS (
				SELECT lineage, count, price * (count - (SELECT count(*) FROM pictures WHERE generation = generations.id)) AS held
				FROM generations LEFT JOIN keys ON hash = generations.key WHERE status IN ('queued', 'processing')
			), used AS (
				SELECT '' AS subject, coalesce(sum(count), 0) AS in_flight, coalesce(sum(held), 0) AS held FROM open
				UNION ALL SELECT lineage, sum(count), sum(held) FROM open WHERE lineage IS NOT NULL GROUP BY lineage
			)
			SELECT subject, tallies.in_flight, tallies.held, used.in_flight AS used_in_flight, used.held AS used_held
			FROM tallies FULL JOIN used USING (subject)
			WHERE coalesce(tallies.in_flight, 0) <> coalesce(used.in_flight, 0) OR coalesce(tallies.held, 0) <> coalesce(used.held, 0)`
	},
	{
		what: 'usage that the pictures do not make',
		query: `WITH counted AS MATERIALIZED (
				SELECT date(p.captured_at / 1000, 'unixepoch') AS day, g.key, g.model, count(*) AS pictures, sum(g.price) AS amount
				FROM pictures p JOIN generations g ON g.id = p.generation WHERE g.key IS NOT NULL GROUP BY 1, 2, 3
			), kept AS (
				SELECT day, key, model, pictures - archived_pictures, amount - archived_amount FROM usage
				WHERE (pictures, amount) <> (archived_pictures, archived_amount)
			)
			SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
			UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)`
	},
	{
		what: 'usage that the archives do not make',
		query: `SELECT * FROM (SELECT coalesce(sum(archived_pictures), 0) AS pictures, coalesce(sum(archived_amount), 0) AS amount FROM usage)
			EXCEPT SELECT coalesce(sum(pictures), 0), coalesce(sum(capture), 0) FROM archives`
	},
	{
		what: 'a meter event that does not count its pictures',
		query: `SELECT id, refund, pictures, archived, (SELECT count(*) FROM metered WHERE batch = id) AS counted FROM batches
			WHERE refund IS NULL AND pictures <> archived + counted`
	}
]

export const auditParts = checks.length + 1
