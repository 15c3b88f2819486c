import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { MeterEvent, SinkName } from '../../shared/contract/meters.ts'
import type { Page } from '../account/page.ts'
import { mostRows } from '../account/usage.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { type Answer, unwrap } from '../errors.ts'
import { AccountId } from '../ids.ts'
import { limitOf, nextOfSome } from './paging.ts'
import { json, problem } from './responses.ts'

const Customer = z.strictObject({
	stripe_customer: z
		.string()
		.regex(/^cus_\w{1,60}$/)
		.nullable()
})

const setCustomer = createRoute({
	method: 'put',
	path: '/v1/admin/accounts/{account}/metering',
	summary: 'Name the Stripe customer that the account’s pictures are metered for, what is not sent yet included',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId }),
		body: { required: true, content: { 'application/json': { schema: Customer } } }
	},
	responses: { 200: json(Customer, 'The customer as it is now'), 401: problem('unauthorized') }
})

const Cursor = z.string().regex(/^mtr_[0-9a-z]{26}\.(stripe|cloudevents)$/)

const list = createRoute({
	method: 'get',
	path: '/v1/admin/accounts/{account}/metering/events',
	summary: 'Meter events with the pictures that each counts, newest first',
	description: `A page ends early where its events count more than ${mostRows} pictures.`,
	middleware: [withAdmin] as const,
	request: {
		params: z.object({ account: AccountId }),
		query: z.strictObject({ limit: limitOf(100, 1_000), cursor: Cursor.optional(), state: MeterEvent.shape.state.optional() })
	},
	responses: {
		200: json(z.strictObject({ events: z.array(MeterEvent), next: Cursor.nullable() }), nextOfSome),
		401: problem('unauthorized')
	}
})

const Found = z.strictObject({ outcome: z.enum(['sent', 'lost']) })

const resolve = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/metering/events/{sink}/{id}/resolve',
	summary: 'Say what became of a parked event: it was counted, or it was lost and is to be sent again',
	description: 'Until then the orders whose pictures it counts, and those after them, are not archived.',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId, sink: SinkName, id: z.string().regex(/^mtr_[0-9a-z]{26}$/) }),
		body: {
			required: true,
			content: { 'application/json': { schema: Found } }
		}
	},
	responses: {
		200: json(MeterEvent, 'The event as it is now'),
		401: problem('unauthorized')
	}
})

const resolveAll = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/metering/events/{sink}/resolve',
	summary: 'Say what became of all events that are parked for a sink, for instance one that is no longer to count',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId, sink: SinkName }),
		body: { required: true, content: { 'application/json': { schema: Found } } }
	},
	responses: {
		200: json(z.strictObject({ resolved: z.int() }), 'How many events there were'),
		401: problem('unauthorized')
	}
})

export const meters = (app: OpenAPIHono<App>) => {
	app.openapi(setCustomer, async (c) => {
		const { stripe_customer } = c.req.valid('json')
		unwrap(await c.var.env.ACCOUNT.getByName(c.req.valid('param').account).setStripeCustomer(stripe_customer))
		return c.json({ stripe_customer }, 200)
	})
	app.openapi(list, async (c) => {
		const { limit, cursor, state } = c.req.valid('query')
		const listed = await c.var.env.ACCOUNT.getByName(c.req.valid('param').account).meterEvents(state, cursor, limit)
		const { items: events, next } = unwrap(listed as Answer<Page<MeterEvent>>)
		return c.json({ events, next }, 200)
	})
	app.openapi(resolve, async (c) => {
		const { account, sink, id } = c.req.valid('param')
		const { outcome } = c.req.valid('json')
		return c.json(unwrap(await c.var.env.ACCOUNT.getByName(account).resolveMeterEvent(sink, id, outcome)), 200)
	})
	app.openapi(resolveAll, async (c) => {
		const { account, sink } = c.req.valid('param')
		const resolved = unwrap(await c.var.env.ACCOUNT.getByName(account).resolveMeterEvents(sink, c.req.valid('json').outcome))
		return c.json({ resolved }, 200)
	})
}
