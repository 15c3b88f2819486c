import type { Env } from './env.ts'
import type { Held } from './held.ts'

declare global {
	namespace Cloudflare {
		/** Types `ctx.exports`, by which a Worker calls its own entrypoints. */
		interface GlobalProps {
			mainModule: typeof import('./worker.ts')
		}
	}
}

/** What every handler finds in its context. */
export interface App {
	Bindings: object
	Variables: {
		env: Env
		requestId: string
		/** Whose request it is, as far as its body is concerned: of whose share of the room for them that takes some. */
		account?: string
		/** The body, where it is large; released when the request ends, or before. */
		body?: Held
	}
}
