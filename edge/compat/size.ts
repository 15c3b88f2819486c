import type { Model } from '../../shared/catalog.ts'
import type { Size } from '../../shared/inputs.ts'
import { sizeOf } from '../../shared/size.ts'
import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'

/** What comes nearest to a size that was meant for another model: as much of it as this one's limits and multiples allow. */
export const nearestSize = (model: Model, size: Size): Size => sizeOf(model, 'text-to-image', size)

/** `1024x768` as it stands. */
export function sizeIn(text: unknown): Size | undefined {
	const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(String(text)) ?? []
	return width && height ? { width: Number(width), height: Number(height) } : undefined
}

/** A ratio, such as `16:9`, as a size that has about as many pixels as the model's own. */
export function sizeOfRatio(model: Model, text: unknown, pointer: string): Size {
	const [, x, y] = /^(\d{1,3}):(\d{1,3})$/.exec(String(text)) ?? []
	if (!(Number(x) && Number(y))) {
		return refuse(pointer, 'a ratio such as 16:9', describe(text))
	}
	const stretch = Math.sqrt(Number(x) / Number(y))
	return nearestSize(model, { width: model.size.default * stretch, height: model.size.default / stretch })
}
