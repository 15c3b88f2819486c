/** An amount of micro-units as units, with as many digits as it has: at least two, at most six. */
export const money = (micro: number): string =>
	(micro / 1_000_000).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 6 })

export const when = (time: string): string =>
	new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
