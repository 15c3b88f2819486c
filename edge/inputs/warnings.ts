import type { Model } from '../../shared/catalog.ts'
import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import type { InputName, Size } from '../../shared/inputs.ts'
import { covering, takenSize } from '../../shared/size.ts'

type Sizes = Readonly<Partial<Record<InputName, Size>>>

/** What becomes of inputs on their way into the picture, where that is not nothing; worker-gpu/image/decode.ts does it. */
export function warningsOf(
	model: Model,
	asked: Readonly<Record<string, unknown>>,
	request: ResolvedRequest,
	sizes: Sizes
): Warning[] {
	const { mask } = sizes
	const image = sizes.image ?? sizes.semantic_map
	if (!image) {
		return []
	}
	const name = sizes.image ? 'image' : 'semantic map'
	const { task } = request
	const taken = takenSize(model, request)
	const covered = covering(task ?? 'text-to-image', image, taken)
	const warnings: Warning[] = []
	const warn = (code: string, detail: string) => warnings.push({ code, detail })
	if (asked.width === undefined && asked.height === undefined && task !== 'super-resolution' && !same(image, taken)) {
		warn(
			'size-rounded',
			`The picture is ${text(taken)} pixels, which the model can draw, and not ${text(image)} as the ${name} is.`
		)
	}
	if (!same(image, covered)) {
		warn('image-resized', `The ${name} of ${text(image)} pixels was scaled to ${text(covered)}.`)
	}
	if (!same(covered, taken)) {
		warn('image-cropped', `Of the ${name}'s ${text(covered)} pixels the ${text(taken)} in the middle were taken.`)
	}
	if (mask && !same(mask, image)) {
		warn('mask-resized', `The mask of ${text(mask)} pixels was stretched over the image of ${text(image)}.`)
	}
	return warnings
}

const same = (a: Size, b: Size) => a.width === b.width && a.height === b.height
const text = ({ width, height }: Size) => `${width} × ${height}`
