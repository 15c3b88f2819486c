import { DurableObject } from 'cloudflare:workers'
import type { Preview } from '../../shared/contract/callbacks.ts'
import { isTerminal } from '../../shared/contract/generation.ts'
import type { Snapshot } from '../account/snapshot.ts'
import { type Env, parseEnv } from '../env.ts'
import { unwrap } from '../errors.ts'

/** How often a Viewer looks by itself, should the Account's word have been lost. Milliseconds. */
const glance = 5_000

/** Holds the requests that wait for one generation. It keeps nothing: when it vanishes, its readers ask the Account. */
export class Viewer extends DurableObject {
	readonly #env: Env
	/** Of each picture, the latest. */
	readonly #previews = new Map<number, Preview>()
	readonly #waiting = new Set<(snapshot: Snapshot | undefined) => void>()

	constructor(ctx: DurableObjectState, raw: object) {
		super(ctx, raw as Cloudflare.Env)
		this.#env = parseEnv(raw)
	}

	/** The generation once it has ended, or undefined after `ms` milliseconds. */
	async wait(account: string, id: string, ms: number): Promise<Snapshot | undefined> {
		const { promise, resolve } = Promise.withResolvers<Snapshot | undefined>()
		// It waits before it looks, so an end in between is not missed.
		this.#waiting.add(resolve)
		const look = async () => {
			const snapshot = unwrap(await this.#env.ACCOUNT.getByName(account).watch(id))
			if (isTerminal(snapshot.status)) {
				resolve(snapshot)
			}
		}
		const timer = setTimeout(resolve, ms, undefined)
		const glances = setInterval(() => this.ctx.waitUntil(look().catch(() => {})), glance)
		try {
			await look()
			return await promise
		} finally {
			clearTimeout(timer)
			clearInterval(glances)
			this.#waiting.delete(resolve)
		}
	}

	/** The latest previews, from the generation's node. Answers whether anyone is here to see the next ones. */
	async preview(previews: readonly Preview[]): Promise<boolean> {
		for (const preview of previews) {
			this.#previews.set(preview.n, preview)
		}
		return this.#waiting.size > 0
	}

	/** The Account's word that it has ended. */
	async ended(snapshot: Snapshot): Promise<void> {
		for (const resolve of this.#waiting) {
			resolve(snapshot)
		}
	}
}
