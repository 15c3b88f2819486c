import type { ErrorMessage } from './messages.ts'

/** The engine's process ended in the middle of this work. The work can be asked for again. */
export class EngineCrashed extends Error {
	override name = 'EngineCrashed'

	constructor(code: number | null, signal: NodeJS.Signals | null) {
		super(`the engine ended unexpectedly (${signal ?? `exit code ${code}`})`)
	}
}

/** The engine was closed, by this process. */
export class EngineClosed extends Error {
	override name = 'EngineClosed'

	constructor() {
		super('the engine was closed')
	}
}

/** What the engine reported: `name` says what it was there, `ModelError`, `NotFinite`, `CudaUnavailable`. */
export class EngineError extends Error {
	constructor({ name, message }: ErrorMessage) {
		super(message)
		this.name = name
	}
}
