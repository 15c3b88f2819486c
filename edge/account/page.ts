/** Rows that one page looks at: a filter that hardly any of millions passes would hold up the account, which does one thing at a time, for seconds. */
export const mostLooked = 10_000

interface Asked {
	/** Only those whose ids are at least `from`, and below `before`. */
	from?: string | undefined
	before?: string | undefined
	/** Columns with what they have to be; one that is undefined may be anything. */
	where?: Readonly<Record<string, SqlStorageValue | undefined>>
	limit: number
}

/** `next`: the id that the following page comes before, if there may be one. */
export interface Page<T, Id = string> {
	items: T[]
	next: Id | null
}

/** Of rows, of which one more than `limit` was asked for. */
export const firstOf = <T, Id>(rows: T[], limit: number, idOf: (row: T) => Id): Page<T, Id> => ({
	items: rows.slice(0, limit),
	next: rows.length > limit ? idOf(rows[limit - 1] as T) : null
})

/** Rows of a table with ids, newest first. Where few of those that it looks at are asked for, a page has fewer than `limit`, or none, and is not the last. */
export function pageOf<T extends { id: string } & Record<string, SqlStorageValue>>(
	sql: SqlStorage,
	table: string,
	{ from = '', before = '~', where = {}, limit }: Asked
): Page<T> {
	const range = `SELECT * FROM ${table} WHERE id >= ? AND id < ? ORDER BY id DESC`
	const asked = Object.entries(where).filter(([, value]) => value !== undefined)
	const conditions = asked.map(([column]) => `AND ${column} IS ?`).join(' ')
	const rows = sql
		.exec<T>(
			`SELECT * FROM (${range} LIMIT ${mostLooked}) WHERE true ${conditions} LIMIT ?`,
			...[from, before, ...asked.map(([, value]) => value), limit + 1]
		)
		.toArray()
	const { items, next } = firstOf(rows, limit, ({ id }) => id)
	const looked = () => sql.exec<{ id: string }>(`${range} LIMIT 1 OFFSET ${mostLooked - 1}`, from, before).toArray()[0]
	return { items, next: next ?? looked()?.id ?? null }
}
