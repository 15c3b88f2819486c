import type { Model, ModelTasks } from '../../../shared/catalog.ts'
import type { GenerationRequest } from '../../../shared/contract/generation.ts'
import type { Task } from '../../../shared/tasks.ts'
import { find, h } from '../h.ts'
import { boxes } from './boxes.ts'
import { sketch } from './sketch.ts'

/** The fields of a request that are a task's own. */
export type Given = Pick<
	Partial<GenerationRequest>,
	'image' | 'mask' | 'semantic_map' | 'layout' | 'class_label' | 'image_guidance' | 'noise_level'
>
/** Gives those that the inputs come to, and what is to be done where they are not all there. */
type Read = () => Promise<{ fields: Given; missing?: string | undefined }>

/** Sides of a mask in pixels, at most: it is fitted to its image anyway. */
const mostSide = 1_024

/** Puts the inputs of a task into the form, with what was given before. */
export function showInputs(model: Model, task: Task, given: Given): Read {
	const place = find('inputs')
	place.replaceChildren()
	const { tasks, size } = model
	switch (task) {
		case 'image-to-image':
			return imageInput(place, given, 'image_guidance', tasks[task]!.image_guidance)
		case 'super-resolution':
			return imageInput(place, given, 'noise_level', tasks[task]!.noise_level)
		case 'inpainting':
			return maskedInput(place, given)
		case 'class-conditional':
			return classInput(place, tasks[task]!.classes, given)
		case 'layout-to-image': {
			const { element, read } = boxes(tasks[task]!, given.layout ?? [])
			place.append(element)
			return async () => ({ fields: { layout: read() }, missing: read().length === 0 ? 'Draw a box first.' : undefined })
		}
		case 'semantic-synthesis':
			return mapInput(place, tasks[task]!.labels, size.default, given)
		default:
			return async () => ({ fields: {} })
	}
}

/** A picture from a file, or what was given before: a URL, which can be shown, or the id of an upload, which cannot. */
function picture(label: string, given: string | null | undefined, changed: (url: string) => unknown) {
	const file = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp,image/gif,image/avif' })
	let url = given ?? undefined
	const note = h('span', { role: 'status' }, isShown(url) || !url ? undefined : 'The same as before, unless you choose another.')
	file.addEventListener('change', async () => {
		const chosen = file.files?.[0]
		if (!chosen) {
			return
		}
		const read = await dataUrl(chosen).catch(() => undefined)
		const isPicture = read !== undefined && (await loaded(read).catch(() => undefined)) !== undefined
		if (file.files?.[0] !== chosen) {
			return // Another was chosen meanwhile.
		}
		if (isPicture) {
			url = read
			note.textContent = ''
			changed(read)
		} else {
			file.value = ''
			note.textContent = `${chosen.name} is no picture that can be read here: PNG, JPEG, WebP, GIF or AVIF.`
		}
	})
	if (isShown(url)) {
		const shown = url
		loaded(shown).then(
			() => changed(shown),
			() => {
				note.textContent = 'What it starts from cannot be shown here.'
			}
		)
	}
	return { element: h('div', { class: 'picture' }, h('label', {}, label, file), note), read: () => url }
}

const isShown = (url: string | undefined): url is string => url !== undefined && !url.startsWith('upl_')

const dataUrl = (file: File): Promise<string> =>
	new Promise((resolve, reject) => {
		const reader = new FileReader()
		reader.addEventListener('load', () => resolve(reader.result as string))
		reader.addEventListener('error', () => reject(reader.error))
		reader.readAsDataURL(file)
	})

async function loaded(url: string): Promise<HTMLImageElement> {
	const image = h('img', { src: url })
	await image.decode()
	return image
}

const noImage = 'Choose an image first.'

/** What some models are told of their image. */
const numbers = {
	image_guidance: { label: 'How closely to keep to it', min: 1, step: 'any' },
	noise_level: { label: 'Noise to draw over', min: 0, step: 1 }
} as const

type Limits = { default: number; max: number } | undefined

function imageInput(place: HTMLElement, given: Given, field: keyof typeof numbers, limits: Limits): Read {
	const shown = h('div')
	const image = picture('Image', given.image, (url) =>
		shown.replaceChildren(h('img', { class: 'source', src: url, alt: 'What it starts from' }))
	)
	place.append(image.element, shown)
	const { label, min, step } = numbers[field]
	const number = h('input', { type: 'number', min, max: limits?.max, step, value: given[field] ?? limits?.default })
	if (limits) {
		place.append(h('label', {}, label, number))
	}
	return async () => {
		const from = image.read()
		const fields = { ...(from && { image: from }), ...(limits && number.value && { [field]: Number(number.value) }) }
		return { fields, missing: from ? undefined : noImage }
	}
}

/** An image, and what is to be drawn anew painted over it; also from a file, to paint on. */
function maskedInput(place: HTMLElement, given: Given): Read {
	const easel = h('div')
	let painted = (): string | undefined => undefined
	const lay = async () => {
		const [backdrop, over] = [image.read(), mask.read()]
		if (!isShown(backdrop)) {
			return
		}
		const { naturalWidth, naturalHeight } = await loaded(backdrop)
		const scale = Math.min(1, mostSide / Math.max(naturalWidth, naturalHeight))
		const canvas = sketch({
			width: Math.round(naturalWidth * scale),
			height: Math.round(naturalHeight * scale),
			...(isShown(over) && { ground: tinted(await loaded(over)) }),
			brush: () => tint,
			backdrop,
			label: 'The image; paint over what is to be drawn anew'
		})
		painted = canvas.read
		easel.replaceChildren(canvas.element)
		place.dispatchEvent(new Event('input', { bubbles: true }))
	}
	const image = picture('Image', given.image, lay)
	const mask = picture('Mask (white is drawn anew), to paint on', given.mask, lay)
	place.append(image.element, easel, mask.element)
	return async () => {
		const drawn = painted()
		const from = image.read()
		// What can be painted on counts as it was painted, and not as it was given.
		const given = isShown(from) && isShown(mask.read()) ? undefined : mask.read()
		const over = drawn ? await whiteOnBlack(drawn) : given
		const missing = from ? (over ? undefined : 'Paint over what is to be drawn anew first, or choose a mask.') : noImage
		return { fields: { ...(from && { image: from }), ...(over && { mask: over }) }, missing }
	}
}

/** What is over an image, and drawn anew. */
const tint = '#ff4b3a'

/** A mask in the colour of the brush: where it is white, or transparent if anything is. */
function tinted(mask: HTMLImageElement): HTMLCanvasElement {
	const canvas = h('canvas', { width: mask.naturalWidth, height: mask.naturalHeight })
	const context = canvas.getContext('2d')!
	context.drawImage(mask, 0, 0)
	const pixels = context.getImageData(0, 0, canvas.width, canvas.height)
	const { data } = pixels
	const isHoled = data.some((value, i) => i % 4 === 3 && value < 255)
	const colour = [1, 3, 5].map((at) => Number.parseInt(tint.slice(at, at + 2), 16))
	for (let i = 0; i < data.length; i += 4) {
		const alpha = isHoled ? 255 - data[i + 3]! : data[i]!
		data.set([...colour, alpha], i)
	}
	context.putImageData(pixels, 0, 0)
	return canvas
}

/** What was painted in whatever colour, white on black: the rest is kept as it is. */
async function whiteOnBlack(url: string): Promise<string> {
	const image = await loaded(url)
	const canvas = h('canvas', { width: image.naturalWidth, height: image.naturalHeight })
	const context = canvas.getContext('2d')!
	const fill = (colour: string) => {
		context.fillStyle = colour
		context.fillRect(0, 0, canvas.width, canvas.height)
	}
	context.drawImage(image, 0, 0)
	context.globalCompositeOperation = 'source-in'
	fill('white')
	context.globalCompositeOperation = 'destination-over'
	fill('black')
	return canvas.toDataURL('image/png')
}

function classInput(place: HTMLElement, classes: readonly string[], { class_label }: Given): Read {
	const select = h('select', {}, ...classes.map((name, value) => h('option', { value }, name)))
	select.value = String(typeof class_label === 'string' ? classes.indexOf(class_label) : (class_label ?? 0))
	place.append(h('label', {}, 'Class', select))
	return async () => ({ fields: { class_label: Number(select.value) } })
}

type Labels = NonNullable<ModelTasks['semantic-synthesis']>['labels']

/** A map that is painted in the colours of its classes; or one from a file. */
function mapInput(place: HTMLElement, labels: Labels, side: number, given: Given): Read {
	const swatches = labels.map(({ name, color }, i) => {
		const swatch = h('span', { class: 'swatch' })
		swatch.style.background = color
		// Of no form: what the form has goes into the request.
		const radio = h('input', { type: 'radio', name: 'brush', form: '', value: color, checked: i === 0 })
		return h('label', { class: 'chip' }, radio, swatch, name)
	})
	const palette = h('fieldset', { class: 'row' }, h('legend', {}, 'Paint with'), ...swatches)
	const brush = () => palette.querySelector<HTMLInputElement>('input:checked')!.value
	const easel = h('div')
	let painted = (): string | undefined => undefined
	const lay = (ground: string | HTMLImageElement) => {
		const [width, height] = typeof ground === 'string' ? [side, side] : [ground.naturalWidth, ground.naturalHeight]
		const canvas = sketch({ width, height, ground, brush, label: 'The map; paint where what is to be' })
		painted = canvas.read
		canvas.element.lastElementChild!.append(h('button', { type: 'button', click: canvas.flood }, 'Fill'))
		easel.replaceChildren(canvas.element)
	}
	const map = picture('A map from a file, to paint on', given.semantic_map, async (url) => lay(await loaded(url)))
	lay(labels[0]!.color)
	const isUpload = given.semantic_map?.startsWith('upl_')
	place.append(palette, easel, map.element)
	return async () => {
		const semantic_map = isUpload && map.read() === given.semantic_map ? given.semantic_map : painted()
		return { fields: { semantic_map } }
	}
}
