import { DurableObject } from 'cloudflare:workers'
import type { PartialImage, Preview } from '../../shared/contract/callbacks.ts'
import { randomText } from '../../shared/ids.ts'
import type { Snapshot } from '../account/snapshot.ts'
import { standingOf } from '../dispatcher/standing.ts'
import { type Env, parseEnv } from '../env.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { soon } from '../soon.ts'
import { eventStream, seenOf } from './event-stream.ts'
import { Timeline } from './timeline.ts'

/** How often a Viewer looks by itself, should the Account's word have been lost. Milliseconds. */
const glance = 5_000
/** How often those who follow are told where it stands in the queue. Milliseconds. */
const pause = 2_000

interface Reader {
	/** An event stream. */
	readonly follows: boolean
	/** By its hash; none where a URL alone is the right to read. */
	readonly key?: string | undefined
}

/**
 * Holds the requests that wait for one generation, and the streams of those who follow it. It keeps nothing: when it vanishes, those who
 * waited ask the Account, and those who followed come back and are told the present state.
 */
export class Viewer extends DurableObject {
	readonly #env: Env
	/** Tells ids of this life's events from those of another. */
	readonly #name = randomText(8)
	readonly #timeline = new Timeline()
	/** Who is here. */
	readonly #readers = new Set<Reader>()
	#glances: ReturnType<typeof setInterval> | undefined
	#asksForStanding = false

	constructor(ctx: DurableObjectState, raw: object) {
		super(ctx, raw as Cloudflare.Env)
		this.#env = parseEnv(raw)
	}

	/** The generation once it has ended, or undefined after `ms` milliseconds. */
	async wait(account: string, id: string, ms: number): Promise<Snapshot | undefined> {
		const leave = await this.#enter(account, id, { follows: false })
		try {
			return (await soon(this.#timeline.ended, ms)) ? await this.#timeline.ended : undefined
		} finally {
			leave()
		}
	}

	/**
	 * Server-sent events (shared/contract/events.ts) from after `lastId`, where that is an id of ours, to the end, or until `key` is not valid any more;
	 * undefined for who has been told the end.
	 */
	async follow(
		account: string,
		id: string,
		lastId: string | undefined,
		key?: string
	): Promise<ReadableStream<Uint8Array> | undefined> {
		const reader: Reader = { follows: true, key }
		const leave = await this.#enter(account, id, reader)
		const seen = seenOf(this.#name, this.#timeline, lastId)
		if (this.#timeline.hasEnded && !this.#timeline.after(seen)) {
			leave()
			return undefined
		}
		const onClose = (isTold: boolean) => {
			leave()
			if (isTold) {
				this.ctx.waitUntil(this.#env.ACCOUNT.getByName(account).answered(id))
			}
		}
		return eventStream(this.#env, this.#timeline, this.#name, seen, () => this.#readers.has(reader), onClose)
	}

	/** The Account's word on how it stands. Answers whether anyone is here to be told more. */
	async tell(snapshot: Snapshot): Promise<boolean> {
		this.#timeline.see(snapshot)
		return this.#readers.size > 0
	}

	/** The latest previews, and a partial image, from the generation's node. Answers whether anyone is here to see the next ones. */
	async show(previews: readonly Preview[], partial?: PartialImage): Promise<boolean> {
		for (const preview of previews) {
			this.#timeline.add({ type: 'preview', ...preview })
		}
		if (partial) {
			this.#timeline.add({ type: 'partial_image', ...partial })
		}
		return this.#readers.size > 0
	}

	/** Tells where it stands in line for as long as it does, and anyone follows. */
	async #followLine(account: string, id: string): Promise<void> {
		if (this.#asksForStanding) {
			return
		}
		this.#asksForStanding = true
		while (this.#timeline.isQueued && [...this.#readers].some(({ follows }) => follows)) {
			const standing = await standingOf(this.#env, account, id)
			if (standing && this.#timeline.isQueued) {
				this.#timeline.add({ type: 'queue', ...standing })
			}
			await new Promise((resolve) => setTimeout(resolve, pause))
		}
		this.#asksForStanding = false
	}

	/** Sends away those whose key is not valid any more. */
	async #check(account: string): Promise<void> {
		for (const [key, readers] of Map.groupBy(this.#readers, (reader) => reader.key)) {
			if (key !== undefined && 'fault' in (await this.#env.ACCOUNT.getByName(account).expectKey(key, 'read', 'generate'))) {
				for (const reader of readers) {
					this.#readers.delete(reader)
				}
			}
		}
	}

	/** Counts a reader in, and looks. Returns how it leaves. */
	async #enter(account: string, id: string, reader: Reader): Promise<() => void> {
		const look = async () => {
			this.#timeline.see(unwrap(await this.#env.ACCOUNT.getByName(account).watch(id)))
			this.ctx.waitUntil(this.#followLine(account, id))
		}
		const leave = () => {
			this.#readers.delete(reader)
			if (this.#readers.size === 0) {
				clearInterval(this.#glances)
				this.#glances = undefined
			}
		}
		// Nobody may have said so.
		const sendAway = (error: unknown) => {
			if (error instanceof ProblemError && error.fault.code === 'not-found') {
				this.#readers.clear()
				this.#timeline.wake()
			}
		}
		this.#readers.add(reader)
		const glanceAround = () => Promise.all([look().catch(sendAway), this.#check(account)]).catch(() => {})
		this.#glances ??= setInterval(() => this.ctx.waitUntil(glanceAround()), glance)
		try {
			await look()
		} catch (error) {
			leave()
			throw error
		}
		return leave
	}
}
