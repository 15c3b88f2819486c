import type { InputName } from '../../shared/inputs.ts'

/** A customer's file cannot be read, here or anywhere: the generation has failed, and its client is told. */
export class InputUnreadable extends Error {
	override name = 'InputUnreadable'

	constructor(input: InputName, reason: string) {
		// libvips tells of each time that libheif tries where a file ends, before what is wrong with it.
		const told = reason
			.replace(/source: bad seek to \d+\n/g, '')
			.replace(/\s+/g, ' ')
			.slice(0, 200)
		super(`${input}: expected a whole PNG, JPEG, WebP, GIF or AVIF picture, got one that cannot be read (${told})`)
	}
}
