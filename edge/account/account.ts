import { DurableObject } from 'cloudflare:workers'
import type { FinishCall, ImageCall } from '../../shared/contract/callbacks.ts'
import { isTerminal, type Warning } from '../../shared/contract/generation.ts'
import type { Order } from '../../shared/contract/order.ts'
import { newId } from '../../shared/ids.ts'
import { jobFor, type Work } from '../callbacks/capability.ts'
import { type Batch, dispatcherOf } from '../dispatcher/dispatcher.ts'
import { type Env, parseEnv } from '../env.ts'
import { type Answer, answer } from '../errors.ts'
import { eraseObjects } from '../storage/erase.ts'
import { Attempts, type Grant, type Progress, type Receipt } from './attempts.ts'
import { Due, type Duty, type Kind } from './due.ts'
import { type Filter, Generations } from './generations.ts'
import type { Happening } from './happenings.ts'
import { Keys } from './keys.ts'
import { migrate } from './schema.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * A queued generation is shown to the queue again and again: adding a waiting or running job's id does nothing there, and it
 * repairs a queue that lost its data. Milliseconds, drawn anew each time, so that thousands of them spread out.
 */
const untilShownAgain = () => 5_000 + Math.random() * 5_000
const longestBackoff = 5_000
const batchSize = 500
/** Milliseconds after an end at which no URL for an upload is good any more. */
const afterwards = 10 * 60_000

/** One customer's account: the owner of its keys and generations. Every decision is one synchronous transaction. */
export class Account extends DurableObject {
	readonly #env: Env
	readonly #due: Due
	readonly #keys: Keys
	readonly #generations: Generations
	readonly #attempts: Attempts
	readonly #duties: Record<Kind, Duty>
	/** What the Viewers are to be told when the transaction that runs now is done. */
	#seen = new Map<string, Snapshot>()
	/** Generations that have a Viewer, as far as is known since we woke up. */
	readonly #watched = new Set<string>()
	#alarmAt: number | undefined

	constructor(ctx: DurableObjectState, raw: object) {
		super(ctx, raw as Cloudflare.Env)
		this.#env = parseEnv(raw)
		const { sql } = ctx.storage
		migrate(ctx.storage)
		this.#due = new Due(sql)
		this.#keys = new Keys(sql)
		const tell = (happening: Happening) => this.#observe(happening)
		this.#generations = new Generations(sql, this.#due, tell)
		this.#attempts = new Attempts(sql, this.#due, this.#generations, tell)
		const each = (act: (id: string, now: number) => void) => (ids: string[], now: number) => {
			for (const id of ids) {
				act(id, now)
			}
		}
		this.#duties = {
			enqueue: { again: untilShownAgain, run: (ids) => this.ctx.waitUntil(this.#enqueue(ids)) },
			lease: { again: () => 1_000, run: each((id, now) => this.#reclaim(id, now)) },
			deadline: { again: () => 1_000, run: each((id, now) => this.#generations.expire(id, now)) },
			erase: { again: () => 60_000, run: each((id) => this.ctx.waitUntil(this.#erase(id))) }
		}
	}

	/** The first key makes the account. Callbacks and jobs name it, so it keeps its own name. */
	async addKey(account: string, hash: string, name: string): Promise<void> {
		this.ctx.storage.transactionSync(() => {
			this.ctx.storage.kv.put('account', account)
			this.#keys.add(hash, name, Date.now())
		})
	}

	/** Whether a key is still good, for work that comes before a submission. */
	async authorize(key: string): Promise<Answer<void>> {
		return answer(() => this.#keys.confirm(key))
	}

	async submit(key: string, order: Order, warnings: readonly Warning[] = []): Promise<Answer<Snapshot>> {
		return this.#decide(() => {
			this.#keys.confirm(key)
			const now = Date.now()
			const id = newId('gen', now)
			this.#generations.add(id, key, order, warnings, now)
			return this.#generations.read(id)
		})
	}

	async read(key: string, id: string): Promise<Answer<Snapshot>> {
		return answer(() => {
			this.#keys.confirm(key)
			return this.#generations.read(id)
		})
	}

	async list(key: string, filter: Filter, cursor: string | undefined, limit: number): Promise<Answer<Snapshot[]>> {
		return answer(() => {
			this.#keys.confirm(key)
			return this.#generations.list(filter, cursor, limit)
		})
	}

	async cancel(key: string, id: string): Promise<Answer<Snapshot>> {
		return this.#decide(() => {
			this.#keys.confirm(key)
			this.#generations.cancel(id, Date.now())
			return this.#generations.read(id)
		})
	}

	async delete(key: string, id: string): Promise<Answer<void>> {
		return this.#decide(() => {
			this.#keys.confirm(key)
			this.#generations.delete(id, Date.now())
		})
	}

	/** For the generation's Viewer: how it stands. The Viewer is told of each change until it ends. */
	async watch(id: string): Promise<Answer<Snapshot>> {
		this.#watched.add(id)
		return answer(() => this.#generations.read(id))
	}

	async start({ generation, epoch }: Work, run: string): Promise<Answer<Grant>> {
		const now = Date.now()
		// Someone asks for work that another holds: the time to see whether that one is still alive.
		this.#decide(() => this.#reclaim(generation, now))
		return this.#decide(() => this.#attempts.start(generation, epoch, run, now), generation)
	}

	/** `viewed`: it has a Viewer, as far as is known. */
	async progress({ generation, epoch }: Work, call: Progress): Promise<Answer<{ viewed: boolean }>> {
		return this.#decide(() => {
			this.#attempts.progress(generation, epoch, call, Date.now())
			return { viewed: this.#watched.has(generation) }
		}, generation)
	}

	/** Whether this epoch still holds the work. */
	async confirm({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.confirm(generation, epoch, Date.now()))
	}

	async checkpointed({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.checkpointed(generation, epoch, Date.now()))
	}

	async handBack({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.handBack(generation, epoch, Date.now()), generation)
	}

	async permit({ generation, epoch }: Work, n: number): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.permit(generation, epoch, n, Date.now()))
	}

	async capture({ generation, epoch }: Work, picture: ImageCall, receipt: Receipt): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.capture(generation, epoch, picture, receipt, Date.now()), generation)
	}

	async finish({ generation, epoch }: Work, call: FinishCall): Promise<Answer<void>> {
		return this.#decide(() => this.#attempts.finish(generation, epoch, call, Date.now()), generation)
	}

	override async alarm(): Promise<void> {
		this.#alarmAt = undefined
		this.#goOn()
	}

	#reclaim(id: string, now: number): void {
		this.#attempts.reclaim(id, now)
		this.#see(id)
	}

	/** One transaction, and then whatever it made due. Whoever watches `generation` is told how it stands now. */
	#decide<T>(work: () => T, generation?: string): Answer<T> {
		const decided = answer(() =>
			this.#transact(() => {
				const done = work()
				if (generation) {
					this.#see(generation)
				}
				return done
			})
		)
		this.#goOn()
		return decided
	}

	#transact<T>(work: () => T): T {
		this.#seen.clear()
		const done = this.ctx.storage.transactionSync(work)
		for (const snapshot of this.#seen.values()) {
			this.#tell(snapshot)
		}
		return done
	}

	/** Inside the transaction: here is the place of whatever follows from a happening. */
	#observe({ id, type }: Happening): void {
		if (type !== 'started' && type !== 'image') {
			this.#see(id)
		}
	}

	#see(id: string): void {
		if (this.#watched.has(id) && this.#generations.find(id)) {
			this.#seen.set(id, this.#generations.read(id))
		}
	}

	/** Does what is due without making anyone wait, and sets the one alarm to what is due next. */
	#goOn(): void {
		const now = Date.now()
		try {
			this.#transact(() => {
				for (const [kind, subjects] of this.#due.claim(now, batchSize, (kind) => this.#duties[kind].again())) {
					this.#duties[kind].run(subjects, now)
				}
			})
		} finally {
			this.#arm()
		}
	}

	/** An alarm that is too early finds nothing to do, which is cheaper than to set it anew at each call. */
	#arm(): void {
		const next = this.#due.next()
		if (next !== undefined && next < (this.#alarmAt ?? Number.POSITIVE_INFINITY)) {
			this.#alarmAt = next
			this.ctx.waitUntil(this.ctx.storage.setAlarm(next))
		}
	}

	async #enqueue(ids: string[]): Promise<void> {
		const account = this.ctx.storage.kv.get<string>('account') as string
		const batch: Batch = {}
		for (const id of ids) {
			const waiting = this.#generations.waiting(id)
			if (waiting) {
				batch[waiting.model] ??= []
				batch[waiting.model]?.push(jobFor(this.#env, { account, generation: id, epoch: waiting.epoch }))
			}
		}
		const fault = await dispatcherOf(this.#env, account).enqueue(batch).catch(String)
		if (fault === undefined) {
			for (const id of ids) {
				this.#due.succeeded('enqueue', id)
			}
			return
		}
		const now = Date.now()
		for (const id of ids) {
			this.#due.failed('enqueue', id, now, longestBackoff)
		}
		this.#arm()
	}

	/** Removes the objects of a deleted generation, and looks again when every place that was signed for it has expired. */
	async #erase(id: string): Promise<void> {
		const endedAt = this.#generations.erasable(id)
		if (endedAt === undefined) {
			return
		}
		await eraseObjects(this.#env, `${id}/`)
		const last = endedAt + afterwards
		if (Date.now() >= last) {
			this.#due.remove('erase', id)
		} else {
			this.#due.put('erase', id, last)
			this.#arm()
		}
	}

	/** Tells the Viewer of a generation that someone watches how it stands. It looks by itself from time to time, so this may fail. */
	#tell(snapshot: Snapshot): void {
		if (isTerminal(snapshot.status)) {
			this.#watched.delete(snapshot.id)
		}
		this.ctx.waitUntil(
			this.#env.VIEWER.getByName(snapshot.id)
				.tell(snapshot)
				.catch(() => {})
		)
	}
}
