import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Usage } from '../../shared/contract/account.ts'
import { dayOf, mostRows } from '../account/usage.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { type Answer, unwrap } from '../errors.ts'
import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'
import { json, problem } from './responses.ts'

/** Days that are told of where no beginning is named, the last among them. */
const usual = 30

const Day = z.iso.date()
const columns = Usage.keyof().options

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: `${door.base}/usage`,
		summary: `Delivered pictures ${door.whose}, by day, model and key`,
		description: `The last ${usual} days, or the ${usual} up to \`to\`, where nothing else is asked for; at most ${mostRows} rows. With \`Accept: text/csv\` as CSV.`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}), query: z.strictObject({ from: Day.optional(), to: Day.optional() }) },
		responses: {
			200: {
				description: 'Days without a picture are left out',
				content: { ...json(z.strictObject({ usage: z.array(Usage) }), '').content, 'text/csv': { schema: z.string() } }
			},
			401: problem('unauthorized')
		}
	})

export const getUsage = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const { to = dayOf(Date.now()), from = dayOf(Date.parse(to) - (usual - 1) * 86_400_000) } = c.req.valid('query')
			if (from > to) {
				refuse('/from', `a day that is not after ${to}`, describe(from))
			}
			const usage = unwrap((await env.ACCOUNT.getByName(caller.account).countUsage(caller, from, to)) as Answer<Usage[]>)
			if (/^text\/csv\b/i.test(c.req.header('accept') ?? '')) {
				const lines = [columns, ...usage.map((row) => columns.map((column) => cell(row[column])))]
				return c.text(lines.map((line) => `${line.join(',')}\r\n`).join(''), 200, { 'content-type': 'text/csv; charset=utf-8' })
			}
			return c.json({ usage }, 200)
		})
	}
}

/** RFC 4180; and no name of a key becomes a formula in a spreadsheet. */
function cell(value: string | number): string {
	const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value)
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
