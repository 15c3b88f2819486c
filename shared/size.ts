import type { Model } from './catalog.ts'
import type { Size } from './inputs.ts'
import type { Task } from './tasks.ts'

/**
 * A picture's size where the request names none: the model's own, or the image's in the model's multiples. A larger image is shrunk until
 * it fits, a smaller one is enlarged; super-resolution enlarges by its factor and nothing else.
 */
export function sizeOf({ tasks, size }: Model, task: Task, image: Size | undefined): Size {
	if (!image) {
		return { width: size.default, height: size.default }
	}
	const { width, height } = image
	const factor = task === 'super-resolution' ? tasks['super-resolution']!.factor : undefined
	const shrink = size.max / Math.max(width, height)
	const enlarge = size.min / Math.min(width, height)
	const scale = factor ?? Math.min(shrink, Math.max(enlarge, 1))
	const side = (pixels: number) => {
		const whole = Math.floor((pixels * scale) / size.multiple + 1e-9) * size.multiple
		return factor ? whole : Math.min(size.max, Math.max(size.min, whole))
	}
	return { width: side(width), height: side(height) }
}

/** Sides of an image that super-resolution takes: what it makes of them has to be within the model's sizes. */
export function enlargeable({ tasks, size }: Model): { min: number; max: number } | undefined {
	const factor = tasks['super-resolution']?.factor
	return factor === undefined ? undefined : { min: Math.ceil(size.min / factor), max: Math.floor(size.max / factor) }
}

/**
 * How large an image is drawn before its middle is cut out as large as its task takes it: until it covers that, with its proportions kept, as by diffusers'
 * `resize_mode="crop"`. What super-resolution takes is not scaled, lest it be enlarged twice.
 */
export function covering(task: Task, image: Size, taken: Size): Size {
	const isScaled = task !== 'super-resolution'
	return {
		width: Math.max(taken.width, isScaled ? Math.floor((image.width * taken.height) / image.height) : image.width),
		height: Math.max(taken.height, isScaled ? Math.floor((image.height * taken.width) / image.width) : image.height)
	}
}

/** As what an image is taken: the picture's size, or before super-resolution the small one. */
export function takenSize(
	{ tasks }: Pick<Model, 'tasks'>,
	{ task, width, height }: { readonly task?: Task | null | undefined } & Size
): Size {
	const factor = (task === 'super-resolution' && tasks['super-resolution']?.factor) || 1
	return { width: width / factor, height: height / factor }
}
