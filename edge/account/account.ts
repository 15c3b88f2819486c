import { DurableObject } from 'cloudflare:workers'
import type { FinishCall, ImageCall } from '../../shared/contract/callbacks.ts'
import { isTerminal, type ResolvedRequest, type Warning } from '../../shared/contract/generation.ts'
import { newId } from '../../shared/ids.ts'
import { jobFor, type Work } from '../callbacks/capability.ts'
import { type Batch, dispatcherOf } from '../dispatcher/dispatcher.ts'
import { type Env, parseEnv } from '../env.ts'
import { type Answer, answer } from '../errors.ts'
import { Due } from './due.ts'
import { Generations, type Grant, type Progress, type Receipt } from './generations.ts'
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

/** One customer's account: the owner of its keys and generations. Every decision is one synchronous transaction. */
export class Account extends DurableObject {
	readonly #env: Env
	readonly #due: Due
	readonly #keys: Keys
	readonly #generations: Generations
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
		this.#generations = new Generations(sql, this.#due)
	}

	/** The first key makes the account. Callbacks and jobs name it, so it keeps its own name. */
	async addKey(account: string, hash: string, name: string): Promise<void> {
		this.ctx.storage.transactionSync(() => {
			this.ctx.storage.kv.put('account', account)
			this.#keys.add(hash, name, Date.now())
		})
	}

	async submit(key: string, request: ResolvedRequest, warnings: readonly Warning[] = []): Promise<Answer<Snapshot>> {
		return this.#decide(() => {
			this.#keys.confirm(key)
			const now = Date.now()
			const id = newId('gen', now)
			this.#generations.add(id, request, warnings, now)
			return this.#generations.read(id)
		})
	}

	async read(key: string, id: string): Promise<Answer<Snapshot>> {
		return answer(() => {
			this.#keys.confirm(key)
			return this.#generations.read(id)
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
		this.#expire(generation, now)
		return this.#decide(() => this.#generations.start(generation, epoch, run, now), generation)
	}

	/** `viewed`: it has a Viewer, as far as is known. */
	async progress({ generation, epoch }: Work, call: Progress): Promise<Answer<{ viewed: boolean }>> {
		return this.#decide(() => {
			this.#generations.progress(generation, epoch, call, Date.now())
			return { viewed: this.#watched.has(generation) }
		}, generation)
	}

	/** Whether this epoch still holds the work. */
	async confirm({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.confirm(generation, epoch, Date.now()))
	}

	async checkpointed({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.checkpointed(generation, epoch, Date.now()))
	}

	async handBack({ generation, epoch }: Work): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.handBack(generation, epoch, Date.now()), generation)
	}

	async permit({ generation, epoch }: Work, n: number): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.permit(generation, epoch, n, Date.now()))
	}

	async capture({ generation, epoch }: Work, picture: ImageCall, receipt: Receipt): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.capture(generation, epoch, picture, receipt, Date.now()), generation)
	}

	async finish({ generation, epoch }: Work, call: FinishCall): Promise<Answer<void>> {
		return this.#decide(() => this.#generations.finish(generation, epoch, call, Date.now()), generation)
	}

	override async alarm(): Promise<void> {
		this.#alarmAt = undefined
		const now = Date.now()
		try {
			for (const id of this.#due.claim('lease', now, batchSize, () => now + 1_000)) {
				this.#expire(id, now)
			}
		} finally {
			this.#goOn()
		}
	}

	/** One transaction, and then whatever it made due. Whoever watches `generation` is told how it stands now. */
	#decide<T>(work: () => T, generation?: string): Answer<T> {
		const decided = answer(() => this.ctx.storage.transactionSync(work))
		this.#goOn()
		if (generation && 'value' in decided) {
			this.#tell(generation)
		}
		return decided
	}

	#expire(id: string, now: number): void {
		this.ctx.storage.transactionSync(() => this.#generations.expire(id, now))
		this.#tell(id)
	}

	/** Does what is due without making anyone wait, and sets the one alarm to what is due next. */
	#goOn(): void {
		const now = Date.now()
		const due = this.#due.claim('enqueue', now, batchSize, () => now + untilShownAgain())
		if (due.length > 0) {
			this.ctx.waitUntil(this.#enqueue(due))
		}
		this.#arm()
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

	/** Tells the Viewer of a generation that someone watches how it stands. It looks by itself from time to time, so this may fail. */
	#tell(id: string): void {
		if (!this.#watched.has(id)) {
			return
		}
		const snapshot = this.#generations.read(id)
		if (isTerminal(snapshot.status)) {
			this.#watched.delete(id)
		}
		this.ctx.waitUntil(
			this.#env.VIEWER.getByName(id)
				.tell(snapshot)
				.catch(() => {})
		)
	}
}
