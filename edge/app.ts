import type { Env } from './env.ts'

/** What every handler finds in its context. */
export interface App {
	Bindings: object
	Variables: { env: Env; requestId: string }
}
