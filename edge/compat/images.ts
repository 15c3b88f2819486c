import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'

/** A list of images, as their models have it that take several, as the one that there is here; an empty one is none. */
export function onlyImage(pointer: string, images: unknown): unknown[] {
	return Array.isArray(images) && images.length <= 1
		? images
		: refuse(pointer, 'a list of one image', Array.isArray(images) ? `${images.length}` : describe(images))
}

/** An order's fields of what a vendor's mean; throws where they name several images, of which one would be passed over. */
export function asOrder(pointer: string, fields: [string, unknown][]): Record<string, unknown> {
	const images = fields.filter(([name]) => name === 'image').map(([, image]) => image)
	const count = images.length > 1 ? new Set(images.map((image) => JSON.stringify(image))).size : 1
	return count > 1 ? refuse(pointer, 'one image', `${count}`) : Object.fromEntries(fields)
}
