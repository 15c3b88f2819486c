import { z } from 'zod'
import { Amount } from '../pricing.ts'

const Time = z.iso.datetime()

/** What a key may do: order, cancel and delete, upload, and say where webhooks go; read; and make keys of any scope for its own account. */
export const Scope = z.enum(['generate', 'read', 'admin'])
export type Scope = z.infer<typeof Scope>

/** Printable: others read it in tables and terminals. No pattern, for OpenAPI knows none of Unicode's properties. */
const KeyName = z
	.string()
	.trim()
	.min(1)
	.max(64)
	.refine((name) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(name), 'printable characters')
export const KeyId = z.string().regex(/^key_[0-9a-z]{26}$/)

/** Null is no limit. At most what the integers of RateLimit's fields may be (RFC 9651: 15 digits). */
const Limit = z.int().min(1).max(999_999_999_999_999).nullable()

/** What an account, or one key of it, may do. Amounts are micro-units; days and months are UTC. */
export const Limits = z.strictObject({
	requests_per_minute: Limit.describe(
		"Orders, and beside them as many inputs and messages that are asked for; a full minute's may come at once."
	),
	pictures_in_flight: Limit.describe('Ordered and not delivered.'),
	spend_per_day: Limit.describe('Charged, and held for what is in flight.'),
	spend_per_month: Limit
})
export type Limits = z.infer<typeof Limits>

export const PlanName = z.enum(['trial', 'standard', 'scale'])
export type PlanName = z.infer<typeof PlanName>

/** What an account is subject to: its plan, and where its own limits differ. */
export const Standing = z.strictObject({ plan: PlanName, limits: Limits.partial() })
export type Standing = z.infer<typeof Standing>
/** What is left out stays as it is. */
export const StandingChange = Standing.partial()
export type StandingChange = z.infer<typeof StandingChange>

/** A key as it is asked for. */
export const KeyRequest = z.strictObject({
	name: KeyName.default('default'),
	scopes: z.array(Scope).min(1).max(Scope.options.length).default(['generate', 'read']),
	expires_at: z.iso.datetime({ offset: true }).nullish(),
	limits: Limits.partial()
		.default({})
		.describe('Of this key alone, beside those of the account. One that has any makes no others, and rotates none but itself.')
})
export type KeyRequest = z.output<typeof KeyRequest>

/** A key as it is known: its text is shown once, when it is made, and kept nowhere. */
export const ApiKey = z.strictObject({
	id: KeyId,
	name: KeyName,
	scopes: z.array(Scope),
	created_at: Time,
	last_used_at: Time.nullable().describe('To the minute.'),
	expires_at: Time.nullable(),
	revoked_at: Time.nullable(),
	limits: Limits.partial()
})
export type ApiKey = z.infer<typeof ApiKey>

/** Micro-units: what can be spent, what orders that have not ended may still cost, and what was charged. */
export const Balance = z.strictObject({ available: Amount, held: Amount, charged: Amount })
export type Balance = z.infer<typeof Balance>

/** One move of money, from one side of the books to the other. `funds` is the world outside. */
export const LedgerEntry = z.strictObject({
	id: z.int(),
	at: Time,
	kind: z.enum(['credit', 'debit', 'hold', 'capture', 'release', 'refund']),
	from: z.enum(['funds', 'available', 'held', 'charged']),
	to: z.enum(['funds', 'available', 'held', 'charged']),
	amount: Amount,
	generation: z.string().nullable(),
	picture: z.int().nullable(),
	reference: z.string().nullable().describe('Of a credit or a debit: its name, under which it was booked once.')
})
export type LedgerEntry = z.infer<typeof LedgerEntry>

/** Delivered pictures of one day (UTC), model and key. */
export const Usage = z.strictObject({
	day: z.iso.date(),
	model: z.string(),
	key: KeyId,
	key_name: KeyName,
	pictures: z.int(),
	amount: Amount
})
export type Usage = z.infer<typeof Usage>

/** What a generation costs, in micro-units: each picture; what is held for pictures to come; what was charged for delivered ones. */
export const Cost = z.strictObject({ picture: Amount, held: Amount, charged: Amount })
export type Cost = z.infer<typeof Cost>

/**
 * `GET /v1/account`: `limits` are those that hold, the plan's or its own; pictures are kept for `retention_days` after the end. `stored_bytes`: of its
 * orders and its ledger, as far as they are not archived; a Durable Object holds 10 GB.
 */
export const AccountView = z.strictObject({
	account: z.string(),
	balance: Balance,
	plan: PlanName,
	limits: Limits,
	retention_days: z.int(),
	in_flight: z.int(),
	stored_bytes: z.int(),
	archive_waits_for: z
		.string()
		.nullable()
		.describe(
			'What keeps orders that ended more than a month ago from being archived: the oldest, and what it waits for, or that it fails.'
		)
})
export type AccountView = z.infer<typeof AccountView>
