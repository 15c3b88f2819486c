import type { InputName } from '../../shared/inputs.ts'

/** A customer's file cannot be read, here or anywhere: the generation has failed, and its client is told. */
export class InputUnreadable extends Error {
	override name = 'InputUnreadable'

	constructor(input: InputName, reason: string) {
		super(
			`${input}: expected a whole PNG, JPEG, WebP, GIF or AVIF picture, got one that cannot be read (${reason.replace(/\s+/g, ' ').slice(0, 200)})`
		)
	}
}
