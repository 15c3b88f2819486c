import type { Held } from '../held.ts'
import { sha256 } from '../hmac.ts'

/** A picture that came with its request: where in the body it is, so that it is in memory but once. */
export class Given {
	readonly #body: Held
	readonly #start: number
	readonly #end: number
	/** The name of what came as a file; undefined for a `data:` URI, of which we have the letters as JSON has them. */
	readonly name: string | undefined

	constructor(body: Held, start: number, end: number, name?: string) {
		this.#body = body
		this.#start = start
		this.#end = end
		this.name = name
	}

	get bytes(): Uint8Array<ArrayBuffer> {
		return this.#body.bytes.subarray(this.#start, this.#end)
	}

	/** What it is to whoever compares requests. */
	toJSON(): string {
		return sha256(this.bytes)
	}

	/** What it is to whoever expected something else. */
	toString(): string {
		const length = this.#end - this.#start
		return this.name === undefined ? `a data: URI of ${length} characters` : `a file of ${length} bytes`
	}
}
