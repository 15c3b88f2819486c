import type { Context } from 'hono'

/** The query's parameters; one that is there more than once, as an array. */
export const queryOf = ({ req }: Context): Record<string, unknown> =>
	Object.fromEntries(Object.entries(req.queries()).map(([name, all]) => [name, all.length === 1 ? all[0] : all]))

/** What of it has a value: clients in Ruby send names of parameters that they were not given. */
export const givenIn = (c: Context): Record<string, unknown> =>
	Object.fromEntries(Object.entries(queryOf(c)).filter(([, value]) => value !== ''))
