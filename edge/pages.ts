import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'

const toPages = cors({ origin: '*', exposeHeaders: ['*'], maxAge: 86_400 })

/**
 * Pages elsewhere may call, as OpenAI's and fal's APIs let them: a key is in a header that the page itself writes, and there are no cookies. Only
 * browsers name an origin; all others are spared the work.
 */
export const fromPages: MiddlewareHandler = (c, next) => (c.req.header('origin') === undefined ? next() : toPages(c, next))
