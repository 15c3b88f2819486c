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
	const { mask, image } = sizes
	const { task } = request
	const taken = takenSize(model, request)
	const warnings: Warning[] = []
	const warn = (code: string, detail: string) => warnings.push({ code, detail })
	const names = { image: 'image', semantic_map: 'semantic map', control_image: 'control image' } as const
	const given = Object.entries(names).flatMap(([input, name]) => {
		const size = sizes[input as keyof typeof names]
		return size ? [{ name, size }] : []
	})
	for (const [i, { name, size }] of given.entries()) {
		const covered = covering(task ?? 'text-to-image', size, taken)
		// The picture's size follows from the first alone.
		const isAsked = i > 0 || asked.width !== undefined || asked.height !== undefined
		if (!isAsked && task !== 'super-resolution' && !same(size, taken)) {
			warn(
				'size-rounded',
				`The picture is ${text(taken)} pixels, which the model can draw, and not ${text(size)} as the ${name} is.`
			)
		}
		if (!same(size, covered)) {
			warn('image-resized', `The ${name} of ${text(size)} pixels was scaled to ${text(covered)}.`)
		}
		if (!same(covered, taken)) {
			warn('image-cropped', `Of the ${name}'s ${text(covered)} pixels the ${text(taken)} in the middle were taken.`)
		}
	}
	if (mask && image && !same(mask, image)) {
		warn('mask-resized', `The mask of ${text(mask)} pixels was stretched over the image of ${text(image)}.`)
	}
	return warnings
}

const same = (a: Size, b: Size) => a.width === b.width && a.height === b.height
const text = ({ width, height }: Size) => `${width} × ${height}`
