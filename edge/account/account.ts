import { DurableObject } from 'cloudflare:workers'
import { findModel } from '../../shared/catalog.ts'
import type {
	AccountView,
	ApiKey,
	Balance,
	KeyRequest,
	LedgerEntry,
	Limits,
	Scope,
	StandingChange,
	Usage
} from '../../shared/contract/account.ts'
import type { FinishCall, ImageCall } from '../../shared/contract/callbacks.ts'
import type { Warning } from '../../shared/contract/generation.ts'
import type { MeterEvent, SinkName } from '../../shared/contract/meters.ts'
import type { Order } from '../../shared/contract/order.ts'
import {
	type Delivery,
	type Endpoint,
	type EndpointChange,
	type EndpointRequest,
	targetOf,
	type WebhookSecret
} from '../../shared/contract/webhooks.ts'
import { newId } from '../../shared/ids.ts'
import { priceOf } from '../../shared/pricing.ts'
import { jobId } from '../../shared/queue.ts'
import type { Work } from '../callbacks/capability.ts'
import type { Caller } from '../caller.ts'
import { dispatcherOf } from '../dispatcher/dispatcher.ts'
import { type Env, parseEnv } from '../env.ts'
import { type Answer, answer, ProblemError } from '../errors.ts'
import { type Json, pack, unpack } from '../json.ts'
import { outboundUrl } from '../outbound.ts'
import type { Quota } from '../quotas.ts'
import type { ArchiveFile } from '../storage/archive.ts'
import { Agenda } from './agenda.ts'
import type { ArchiveRow } from './archives.ts'
import type { Grant, Progress, Receipt } from './attempts.ts'
import { auditPart } from './audit.ts'
import { type Books, openBooks } from './books.ts'
import { deadlinesOf } from './deadlines.ts'
import { Errands } from './errands.ts'
import type { Filter } from './generations.ts'
import type { Happening } from './happenings.ts'
import { Meters } from './meters/meters.ts'
import type { Page } from './page.ts'
import type { Repeat } from './repeats.ts'
import { migrate } from './schema.ts'
import type { Snapshot } from './snapshot.ts'
import { Watchers } from './watchers.ts'
import { Contents } from './webhooks/contents.ts'
import type { DeliveryFilter } from './webhooks/deliveries.ts'
import { Webhooks } from './webhooks/webhooks.ts'

const receiptsAtOnce = 500
/** Milliseconds in which a client whose answer got lost on its way has come again. */
const arriving = 60_000
/** Milliseconds after which an account that could not be opened is opened again. */
const untilOpened = 60_000

/** An order on its way to its account. */
interface Submission {
	order: Order
	warnings: readonly Warning[]
	repeat: Repeat | undefined
}

/** An order that was accepted, now or before, and how the limits stand. */
export interface Accepted extends Snapshot {
	quotas: Quota[]
	repeated: boolean
}

/** A message that was asked for, and how the limits stand. */
export interface Asked {
	delivery: Delivery
	quotas: Quota[]
}

/** Of what is not archived. */
export type Listed<T> = T & {
	/** ISO 8601. */
	archivedUntil: string | undefined
}

/** Micro-units. */
interface Quote {
	picture: number
	total: number
	available: number
}

function priceFor({ request }: Order): number {
	const model = findModel(request.model)
	if (!model) {
		throw new ProblemError({ code: 'unknown-model', detail: `There is no model ${request.model}.` })
	}
	return priceOf(model, request)
}

/**
 * For an account that cannot be opened: the deployment lacks a setting, or is older than the account's tables. Its alarm would be given up after it has
 * failed seven times, and what is due would wait until somebody calls.
 */
async function failForNow(storage: DurableObjectStorage, error: unknown): Promise<never> {
	await storage.setAlarm(Date.now() + untilOpened)
	await storage.sync()
	throw error
}

/** One customer's account: the owner of its keys and generations. Every decision is one synchronous transaction. */
export class Account extends DurableObject {
	readonly #env: Env
	readonly #books: Books
	readonly #webhooks: Webhooks
	readonly #meters: Meters
	readonly #agenda: Agenda
	readonly #watchers: Watchers

	constructor(ctx: DurableObjectState, raw: object) {
		super(ctx, raw as Cloudflare.Env)
		this.#env = raw as Env
		try {
			this.#env = parseEnv(raw)
			migrate(ctx.storage)
		} catch (error) {
			// No call begins before it is thrown.
			ctx.blockConcurrencyWhile(() => failForNow(ctx.storage, error)).catch(() => {})
		}
		this.#books = openBooks(ctx.storage, (happening) => this.#observe(happening))
		const { due, generations } = this.#books
		const account = () => ctx.storage.kv.get<string>('account') as string
		const defer = (work: Promise<unknown>) => ctx.waitUntil(work)
		const decide = (work: () => void) => void this.#decide(work)
		this.#watchers = new Watchers({ env: this.#env, generations, defer })
		const contents = new Contents({ env: this.#env, generations, account })
		this.#webhooks = new Webhooks({
			storage: ctx.storage,
			due,
			expectCallable: (url, pointer) => this.#expectCallable(url, pointer),
			targetOf: (id) => generations.webhook(id),
			bodyOf: (delivery) => contents.bodyOf(delivery),
			headersOf: (delivery, at, body) => contents.headersOf(delivery, at, body),
			post: (letter) => ctx.exports.Courier.post(letter),
			defer,
			decide
		})
		this.#meters = new Meters({
			sql: ctx.storage.sql,
			due,
			sinks: () => this.#sinks(),
			send: (sink, reading) => ctx.exports.Courier.meter(sink, reading),
			defer,
			decide
		})
		const errands = new Errands({
			env: this.#env,
			books: this.#books,
			account,
			transact: (work) => {
				this.#transact(work)
				this.#agenda.arm()
			}
		})
		this.#agenda = new Agenda({
			due,
			duties: {
				enqueue: { again: errands.showsAgain, runAll: (ids) => errands.enqueue(ids) },
				lease: { again: () => 1_000, run: (id, now) => this.#reclaim(id, now) },
				deadline: { again: () => 1_000, run: (id, now) => generations.expire(id, now) },
				erase: { again: () => 60_000, runAll: (ids) => errands.erase(ids), inTurn: true },
				sweep: { again: () => 3_600_000, run: (page) => defer(errands.sweep(page)) },
				archive: { again: () => 600_000, run: () => defer(errands.archive()) },
				webhook: { again: () => 60_000, run: (lane, now) => this.#webhooks.run(lane, now) },
				meter: { again: () => 60_000, run: (sink, now) => this.#meters.run(sink as SinkName, now) }
			},
			bringBack: (now) => {
				due.bringBack(now)
				this.#webhooks.bringBack(now)
			},
			storage: ctx.storage,
			transact: (work) => this.#transact(work),
			defer
		})
	}

	/** The admin's first key makes the account. Callbacks and jobs name it, so it keeps its own name. */
	async makeKey(caller: Caller, hash: string, request: KeyRequest): Promise<Answer<ApiKey>> {
		return this.#decide(() => {
			const now = Date.now()
			if (caller.key === null) {
				this.ctx.storage.kv.put('account', caller.account)
			} else {
				this.#books.keys.confirm(caller.key, now, 'admin')
				this.#books.keys.expectUnlimited(caller.key)
			}
			return this.#books.keys.add(hash, request, now)
		})
	}

	async listKeys(caller: Caller, cursor: string | undefined, limit: number): Promise<Answer<Page<ApiKey>>> {
		return this.#admit(caller.key, 'admin', () => this.#books.keys.list(cursor, limit))
	}

	/** `overlap`: milliseconds. */
	async rotateKey(caller: Caller, id: string, hash: string, overlap: number): Promise<Answer<ApiKey>> {
		return this.#admit(caller.key, 'admin', (now) => {
			if (caller.key !== null) {
				this.#books.keys.expectUnlimited(caller.key, id)
			}
			return this.#books.keys.rotate(id, hash, overlap, now)
		})
	}

	async revokeKey(caller: Caller, id: string): Promise<Answer<void>> {
		return this.#admit(caller.key, 'admin', (now) => this.#books.keys.revoke(id, now))
	}

	async describe(caller: Caller): Promise<Answer<AccountView>> {
		return this.#admit(caller.key, 'read', (now) => {
			const { ledger, plans, allowances, archives } = this.#books
			return {
				account: caller.account,
				balance: ledger.balance(),
				plan: plans.standing.plan,
				limits: plans.limits,
				retention_days: plans.retentionDays,
				in_flight: allowances.inFlight,
				stored_bytes: this.ctx.storage.sql.databaseSize,
				archive_waits_for: archives.hindrance(now)
			}
		})
	}

	async update({ account }: Caller, { plan, limits }: StandingChange): Promise<Answer<void>> {
		return this.#decide(() => {
			this.ctx.storage.kv.put('account', account)
			const { plans } = this.#books
			const { standing } = plans
			plans.standing = { plan: plan ?? standing.plan, limits: limits ?? standing.limits }
		})
	}

	async countUsage(caller: Caller, from: string, to: string): Promise<Answer<Usage[]>> {
		return this.#admit(caller.key, 'read', () => this.#books.usage.list(from, to))
	}

	async listLedger(
		caller: Caller,
		cursor: number | undefined,
		limit: number
	): Promise<Answer<Listed<Page<LedgerEntry, number>>>> {
		return this.#admit(caller.key, 'read', () => this.#listed(this.#books.ledger.list(cursor, limit)))
	}

	async listArchives(caller: Caller, cursor: string | undefined, limit: number): Promise<Answer<Page<ArchiveRow>>> {
		return this.#admit(caller.key, 'read', () => this.#books.archives.list(cursor, limit))
	}

	/** Of files in R2, those that nothing refers to any more. */
	async unexpectedArchives(files: ArchiveFile[]): Promise<Answer<ArchiveFile[]>> {
		return answer(() => files.filter((file) => !this.#books.archives.expects(file)))
	}

	async credit(account: string, amount: number, reference: string): Promise<Answer<Balance>> {
		return this.#decide(() => {
			this.ctx.storage.kv.put('account', account)
			this.#books.ledger.credit(amount, reference, Date.now())
			return this.#books.ledger.balance()
		})
	}

	async refund(id: string): Promise<Answer<Balance>> {
		return this.#decide(() => {
			const now = Date.now()
			this.#books.generations.refund(id, now)
			this.#meters.takeBack(id, now)
			return this.#books.ledger.balance()
		})
	}

	async audit(part: number): Promise<Answer<string[]>> {
		return answer(() => {
			this.#expectAccount()
			return auditPart(this.ctx.storage.sql, this.#books.ledger, part)
		})
	}

	/** Of every picture that must be in R2, page by page. */
	async receipts(cursor: string): Promise<Answer<Page<Receipt>>> {
		return answer(() => this.#books.generations.receipts(cursor, receiptsAtOnce))
	}

	/** What an order would be answered with, which changes nothing. */
	async quote(key: string, order: Order): Promise<Answer<Quote>> {
		return this.#admit(key, 'generate', (now) => {
			this.#expectWebhook(order)
			deadlinesOf(order.terms, now)
			const price = priceFor(order)
			return { picture: price, total: price * order.request.count, available: this.#books.ledger.balance().available }
		})
	}

	/** Whether a key is still good, for what any one of `scopes` allows. */
	async expectKey(key: string, ...scopes: Scope[]): Promise<Answer<void>> {
		return this.#admit(key, scopes, () => {})
	}

	/** Whether a key may bring an input, which costs nothing. */
	async expectInput(key: string): Promise<Answer<Quota[]>> {
		return this.#admit(key, 'generate', (now, limits) => {
			this.#books.inputs.expect(now)
			return this.#books.allowances.pass('inputs', key, limits, now)
		})
	}

	/** Throws where a generation is still to be made from an upload, for work that removes it; from now on none can be. */
	async giveUpInput(key: string, upload: string): Promise<Answer<void>> {
		return this.#admit(key, 'generate', (now) => this.#books.inputs.giveUp(upload, now))
	}

	/** An order that was accepted before, where `repeat` is one; looked for before the work that comes before a submission. */
	async repeated(key: string, repeat: Repeat): Promise<Answer<Snapshot | undefined>> {
		return this.#admit(key, 'generate', () => this.#findRepeated(repeat))
	}

	async submit(key: string, submission: Json<Submission>): Promise<Json<Answer<Accepted>>> {
		const { order, warnings, repeat } = unpack(submission)
		return pack(this.#submit(key, order, warnings, repeat))
	}

	#submit(key: string, order: Order, warnings: readonly Warning[], repeat: Repeat | undefined): Answer<Accepted> {
		return this.#admit(key, 'generate', (now, limits) => {
			const { allowances, generations, repeats } = this.#books
			const repeated = repeat && this.#findRepeated(repeat)
			if (repeated) {
				return { ...repeated, quotas: [], repeated: true }
			}
			this.#expectWebhook(order)
			const price = priceFor(order)
			const { count } = order.request
			const quotas = allowances.admit(key, limits, { pictures: count, amount: price * count }, now)
			const id = newId('gen', now)
			const added = generations.add(id, key, order, warnings, price, now)
			if (repeat) {
				repeats.remember(repeat, id, now)
			}
			return { ...added, quotas, repeated: false }
		})
	}

	#findRepeated(repeat: Repeat): Snapshot | undefined {
		const id = this.#books.repeats.find(repeat, Date.now())
		return id === undefined ? undefined : this.#books.generations.read(id)
	}

	async read(key: string, id: string): Promise<Answer<Snapshot>> {
		return this.#admit(key, ['read', 'generate'], (now) => {
			this.#books.generations.markSeen(id, now)
			return this.#books.generations.read(id)
		})
	}

	/** A request that was held, or a stream that was followed to its end, was answered with the end of a generation. */
	async answered(id: string): Promise<void> {
		this.#decide(() => this.#books.generations.markSeen(id, Date.now() + arriving))
	}

	async list(key: string, filter: Filter, cursor: string | undefined, limit: number): Promise<Answer<Listed<Page<Snapshot>>>> {
		return this.#admit(key, 'read', () => this.#listed(this.#books.generations.list(filter, cursor, limit)))
	}

	async cancel(key: string, id: string): Promise<Answer<Snapshot>> {
		return this.#admit(key, 'generate', (now) => {
			this.#books.generations.cancel(id, now)
			return this.#books.generations.read(id)
		})
	}

	async delete(key: string, id: string): Promise<Answer<void>> {
		return this.#admit(key, 'generate', (now) => this.#books.generations.delete(id, now))
	}

	/** For the generation's Viewer: how it stands. The Viewer is told of each change until it ends. */
	async watch(id: string): Promise<Answer<Snapshot>> {
		return answer(() => this.#watchers.watch(id))
	}

	/** For whoever asks where a queued generation stands. */
	async inLine(id: string): Promise<{ model: string; epoch: number; before: number | null } | undefined> {
		return this.#books.generations.inLine(id)
	}

	async start({ generation, epoch }: Work, run: string): Promise<Answer<Grant>> {
		const now = Date.now()
		// Someone asks for work that another holds: the time to see whether that one is still alive.
		this.#decide(() => this.#reclaim(generation, now))
		return this.#decide(() => this.#books.attempts.start(generation, epoch, run, now), generation)
	}

	/** `viewed`: it has a Viewer, as far as is known. */
	async progress(
		{ generation, epoch }: Work,
		call: Progress,
		shown: readonly number[] = []
	): Promise<Answer<{ viewed: boolean }>> {
		return this.#decide(() => {
			this.#books.attempts.progress(generation, epoch, call, shown, Date.now())
			return { viewed: this.#watchers.has(generation) }
		}, generation)
	}

	/** Whether this epoch still holds the work. */
	async confirm({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.confirm(generation, epoch, Date.now()))
	}

	async checkpointed({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.checkpointed(generation, epoch, Date.now()))
	}

	async handBack({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.handBack(generation, epoch, Date.now()), generation)
	}

	async permit({ generation, epoch }: Work, n: number): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.permit(generation, epoch, n, Date.now()))
	}

	async capture({ generation, epoch }: Work, picture: ImageCall, receipt: Receipt): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.capture(generation, epoch, picture, receipt, Date.now()), generation)
	}

	async finish({ generation, epoch }: Work, call: FinishCall): Promise<Answer<void>> {
		return this.#decide(() => this.#books.attempts.finish(generation, epoch, call, Date.now()), generation)
	}

	async endpoints(key: string): Promise<Answer<Endpoint[]>> {
		return this.#admit(key, 'read', () => this.#webhooks.endpoints())
	}

	async endpoint(key: string, id: string): Promise<Answer<Endpoint>> {
		return this.#admit(key, 'read', () => this.#webhooks.endpoint(id))
	}

	async addEndpoint(key: string, request: EndpointRequest): Promise<Answer<Endpoint>> {
		return this.#admit(key, 'generate', (now) => this.#webhooks.addEndpoint(request, now))
	}

	async changeEndpoint(key: string, id: string, change: EndpointChange): Promise<Answer<Endpoint>> {
		return this.#admit(key, 'generate', () => this.#webhooks.changeEndpoint(id, change))
	}

	async removeEndpoint(key: string, id: string): Promise<Answer<void>> {
		return this.#admit(key, 'generate', () => this.#webhooks.removeEndpoint(id))
	}

	async ping(key: string, id: string): Promise<Answer<Asked>> {
		return this.#message(key, (now) => this.#webhooks.ping(id, now))
	}

	async webhookSecret(key: string): Promise<Answer<WebhookSecret>> {
		return this.#admit(key, 'generate', (now) => this.#webhooks.secret(now))
	}

	async rotateWebhookSecret(key: string): Promise<Answer<WebhookSecret>> {
		return this.#admit(key, 'generate', (now) => this.#webhooks.rotateSecret(now))
	}

	async deliveries(
		key: string,
		filter: DeliveryFilter,
		cursor: string | undefined,
		limit: number
	): Promise<Answer<Page<Delivery>>> {
		return this.#admit(key, 'read', () => this.#webhooks.deliveries(filter, cursor, limit))
	}

	async delivery(key: string, id: string): Promise<Answer<Delivery>> {
		return this.#admit(key, 'read', () => this.#webhooks.delivery(id))
	}

	async replay(key: string, id: string): Promise<Answer<Asked>> {
		return this.#message(key, (now) => this.#webhooks.replay(id, now))
	}

	async setStripeCustomer(customer: string | null): Promise<Answer<void>> {
		return this.#decide(() => {
			this.#expectAccount()
			this.ctx.storage.kv.put('stripe-customer', customer)
			this.#meters.run('stripe', Date.now())
		})
	}

	async meterEvents(
		state: MeterEvent['state'] | undefined,
		cursor: string | undefined,
		limit: number
	): Promise<Answer<Page<MeterEvent>>> {
		return answer(() => {
			this.#expectAccount()
			return this.#meters.list(state, cursor, limit)
		})
	}

	async resolveMeterEvent(sink: SinkName, batch: string, found: 'sent' | 'lost'): Promise<Answer<MeterEvent>> {
		return this.#decide(() => this.#meters.resolve(sink, batch, found, Date.now()))
	}

	async resolveMeterEvents(sink: SinkName, found: 'sent' | 'lost'): Promise<Answer<number>> {
		return this.#decide(() => {
			this.#expectAccount()
			return this.#meters.resolveAll(sink, found, Date.now())
		})
	}

	override async alarm(): Promise<void> {
		this.#agenda.rang()
	}

	/** Whom each meter knows this account as. */
	#sinks(): Partial<Record<SinkName, string>> {
		const { kv } = this.ctx.storage
		const customer = kv.get<string | null>('stripe-customer')
		const account = kv.get<string>('account')
		return {
			...(this.#env.STRIPE_API_KEY && customer && { stripe: customer }),
			...(this.#env.METER_SINK_URL && account && { cloudevents: account })
		}
	}

	#expectWebhook({ terms: { webhook } }: Order): void {
		if (webhook) {
			this.#expectCallable(targetOf(webhook).url, typeof webhook === 'string' ? '/webhook' : '/webhook/url')
		}
	}

	#expectCallable(url: string, pointer: string): void {
		outboundUrl(url, pointer, this.#env.ALLOW_LOCAL_URLS)
	}

	/** Lets the admin do everything, and a key what any one of `scopes` allows, in an account that there is. */
	#admit<T>(key: string | null, scopes: Scope | Scope[], work: (now: number, limits: Partial<Limits>) => T): Answer<T> {
		return this.#decide(() => {
			const now = Date.now()
			if (key === null) {
				this.#expectAccount()
				return work(now, {})
			}
			return work(now, this.#books.keys.confirm(key, now, ...[scopes].flat()))
		})
	}

	#listed<T extends object>(page: T): Listed<T> {
		return { ...page, archivedUntil: this.#books.archives.until }
	}

	/** A message to a webhook that nothing has happened for. */
	#message(key: string, send: (now: number) => Delivery): Answer<Asked> {
		return this.#admit(key, 'generate', (now, limits) => {
			const quotas = this.#books.allowances.pass('messages', key, limits, now)
			return { delivery: send(now), quotas }
		})
	}

	#reclaim(id: string, now: number): void {
		this.#books.attempts.reclaim(id, now)
		this.#watchers.see(id)
	}

	/** Whoever names an account that does not exist wakes an object with nothing in it. */
	#expectAccount(): void {
		if (this.ctx.storage.kv.get('account') === undefined) {
			throw new ProblemError({ code: 'not-found', detail: 'There is no such account.' })
		}
	}

	/** One transaction, and then whatever it made due. Whoever watches `generation` is told how it stands now. */
	#decide<T>(work: () => T, generation?: string): Answer<T> {
		const decided = answer(() =>
			this.#transact(() => {
				const done = work()
				if (generation) {
					this.#watchers.see(generation)
				}
				return done
			})
		)
		this.#agenda.goOn()
		return decided
	}

	#transact<T>(work: () => T): T {
		this.#watchers.forget()
		const done = this.ctx.storage.transactionSync(work)
		this.#watchers.tell()
		return done
	}

	/** A job of work that has ended would be counted by whoever waits behind it, and stay where no node takes it. Should the transaction fail, it is added again. */
	#leaveQueue(generation: string, { model, epoch }: { model: string; epoch: number }): void {
		const dispatcher = dispatcherOf(this.#env, this.ctx.storage.kv.get('account') as string)
		this.ctx.waitUntil(dispatcher.remove(model, jobId({ generation, epoch })).catch(() => {}))
	}

	/** Inside the transaction: here is the place of whatever follows from a happening. */
	#observe(happening: Happening): void {
		const { id, type } = happening
		this.#webhooks.observe(happening)
		if (happening.type === 'image') {
			this.#meters.observe(happening)
		}
		if (type !== 'started' && type !== 'image') {
			this.#watchers.see(id)
			if (happening.queued) {
				this.#leaveQueue(id, happening.queued)
			}
		}
	}
}
