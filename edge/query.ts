import type { Context } from 'hono'

/** The query's parameters; one that is there more than once, as an array. */
export const queryOf = ({ req }: Context): Record<string, unknown> =>
	Object.fromEntries(Object.entries(req.queries()).map(([name, all]) => [name, all.length === 1 ? all[0] : all]))
