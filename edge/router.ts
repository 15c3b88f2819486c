import { type Result, type Router, UnsupportedPathError } from 'hono/router'
import { RegExpRouter } from 'hono/router/reg-exp-router'
import { TrieRouter } from 'hono/router/trie-router'

/**
 * Hono's fast router cannot tell `/v1/webhooks/secret` from `/v1/webhooks/{id}`, and Hono then takes the slow one for all paths. This takes it for
 * those alone that begin like one which the fast router refused.
 */
export class EdgeRouter<T> implements Router<T> {
	readonly name = 'EdgeRouter'
	readonly #fast = new RegExpRouter<T>()
	readonly #sure = new TrieRouter<T>()
	readonly #ambiguous = new Set<string>()

	add(method: string, path: string, handler: T): void {
		this.#sure.add(method, path, handler)
		try {
			this.#fast.add(method, path, handler)
		} catch (error) {
			if (!(error instanceof UnsupportedPathError)) {
				throw error
			}
			this.#ambiguous.add(path.slice(0, path.indexOf(':')))
		}
	}

	match(method: string, path: string): Result<T> {
		for (const beginning of this.#ambiguous) {
			if (path.startsWith(beginning)) {
				return this.#sure.match(method, path)
			}
		}
		return this.#fast.match(method, path)
	}
}
