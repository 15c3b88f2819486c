import type { ErrorMessage } from './messages.ts'

/** The engine's process ended in the middle of work: of this work, time and again, without it getting any further. */
export class EngineCrashed extends Error {
	override name = 'EngineCrashed'

	constructor(code: number | null, signal: NodeJS.Signals | null) {
		super(`the engine ended unexpectedly (${signal ?? `exit code ${code}`})`)
	}
}

/** A call of the engine did not return, and it was ended: in this work, time and again, without it getting any further. */
export class EngineHung extends Error {
	override name = 'EngineHung'

	constructor(ms: number) {
		super(`a call of the engine did not return within ${Math.round(ms / 1000)} s`)
	}
}

/** The engine was halted: the work can go on elsewhere, from `rows` where there are any. */
export class EngineHalted extends Error {
	override name = 'EngineHalted'
	readonly rows: Uint8Array | undefined

	constructor(rows: Uint8Array | undefined) {
		super('the engine was halted')
		this.rows = rows
	}
}

/** The engine was closed, by this process. */
export class EngineClosed extends Error {
	override name = 'EngineClosed'

	constructor() {
		super('the engine was closed')
	}
}

/** What the engine reported: `name` says what it was there, `ModelNotLoaded`, `NotFinite`, `CudaUnavailable`. */
export class EngineError extends Error {
	constructor({ name, message }: ErrorMessage) {
		super(message)
		this.name = name
	}
}
