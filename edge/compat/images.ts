import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'

/** A list of images, as their models have it that take several, as the one that there is here; an empty one is none. */
export function onlyImage(pointer: string, images: unknown): unknown[] {
	return Array.isArray(images) && images.length <= 1
		? images
		: refuse(pointer, 'a list of one image', Array.isArray(images) ? `${images.length}` : describe(images))
}
