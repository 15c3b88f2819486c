import type { Model } from '../../../shared/catalog.ts'
import type { GenerationRequest } from '../../../shared/contract/generation.ts'
import { inputLimits } from '../../../shared/input-limits.ts'
import { sizeOf } from '../../../shared/size.ts'
import type { Task } from '../../../shared/tasks.ts'
import { fileOf } from '../api.ts'
import { find, h } from '../h.ts'
import { boxes } from './boxes.ts'
import { type Sketch, sketch } from './sketch.ts'

/** The fields of a request that are a task's own. */
export type Given = Pick<
	Partial<GenerationRequest>,
	| 'image'
	| 'mask'
	| 'semantic_map'
	| 'control_image'
	| 'control_scale'
	| 'control_start'
	| 'control_end'
	| 'layout'
	| 'class_label'
	| 'image_guidance'
	| 'noise_level'
>
/** Gives those that the inputs come to, and what is to be done where they are not all there. */
type Read = () => Promise<{ fields: Given; missing?: string | undefined }>

/** Sides of a mask in pixels, at most: it is fitted to its image anyway. */
const mostSide = 1_024

/** Puts the inputs of a task, and of what steers it, into the form, with what was given before. */
export function showInputs(model: Model, task: Task, given: Given): Read {
	const place = find('inputs')
	place.replaceChildren()
	const read = showOwn(place, model, task, given)
	const steering = model.control && controlInput(place, model, task, model.control, given)
	return async () => {
		const { fields, missing } = await read()
		return { fields: { ...fields, ...steering?.() }, missing }
	}
}

function showOwn(place: HTMLElement, model: Model, task: Task, given: Given): Read {
	const { tasks } = model
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
			return mapInput(place, model, task, given)
		default:
			return async () => ({ fields: {} })
	}
}

/**
 * A picture from a file, or what was given before: a URL, or the id of an upload. `read` gives it as an order has it, `shown` as a page can show it,
 * from when `changed` is called on.
 */
function picture(label: string, given: string | null | undefined, changed: (url: string) => unknown) {
	const file = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp,image/gif,image/avif' })
	const note = h('span', { role: 'status' })
	let url = given ?? undefined
	let shown: string | undefined
	let latest: Promise<string> | undefined
	/** False where `source` comes to no picture. */
	const take = async (source: Promise<string>, fault: string, asIs?: string): Promise<boolean> => {
		latest = source
		const from = await source.then((read) => loaded(read).then(() => read)).catch(() => undefined)
		if (latest !== source) {
			return true // Another was chosen meanwhile.
		}
		note.textContent = from ? '' : fault
		if (from) {
			url = asIs ?? from
			shown = from
			changed(from)
		}
		return from !== undefined
	}
	file.addEventListener('change', async () => {
		const chosen = file.files?.[0]
		const isTooLarge = chosen !== undefined && chosen.size > inputLimits.bytes
		const fault = isTooLarge
			? `${chosen.name} is larger than ${inputLimits.bytes >> 20} MiB, the most that is taken.`
			: `${chosen?.name} is no picture that can be read here: PNG, JPEG, WebP, GIF or AVIF.`
		if (chosen && !(await take(isTooLarge ? Promise.reject() : dataUrl(chosen), fault))) {
			file.value = ''
		}
	})
	if (given) {
		const source = given.startsWith('upl_')
			? fileOf(`/openai/v1/files/${given}/content`).then(URL.createObjectURL)
			: Promise.resolve(given)
		void take(source, 'What it starts from cannot be shown here.', given)
	}
	const clear = () => {
		latest = undefined // What was still being read is not wanted any more, either.
		url = undefined
		shown = undefined
		file.value = ''
		note.textContent = ''
	}
	const element = h('div', { class: 'picture' }, h('label', {}, label, file), note)
	return { element, read: () => url, shown: () => shown, clear }
}

export const dataUrl = (file: Blob): Promise<string> =>
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

/** A map that steers what is drawn, which may do without; a picture that nothing else gives its size is as large. */
function controlInput(place: HTMLElement, model: Model, task: Task, limits: NonNullable<Model['control']>, given: Given) {
	const shown = h('div', { class: 'picture' })
	const numbers = {
		control_scale: { label: 'How strongly it steers', max: limits.max, value: limits.default },
		control_start: { label: 'From which part of the steps', max: 1, value: 0 },
		control_end: { label: 'To which part of them', max: 1, value: 1 }
	} as const
	const told = Object.entries(numbers).map(([name, { label, max, value }]) => {
		const field = name as keyof typeof numbers
		const number = h('input', { type: 'number', min: 0, max, step: 'any', value: given[field] ?? value })
		return { field, number, element: h('label', {}, label, number) }
	})
	const remove = () => {
		image.clear()
		shown.replaceChildren()
		place.dispatchEvent(new Event('input', { bubbles: true }))
	}
	const image = picture('Control image (edges, depths, a pose: what the model knows)', given.control_image, async (url) => {
		const map = await loaded(url)
		if (image.shown() !== url) {
			return // Another was chosen meanwhile, or none.
		}
		map.className = 'source'
		map.alt = 'What steers'
		shown.replaceChildren(map, ...told.map(({ element }) => element), h('button', { type: 'button', click: remove }, 'Remove'))
		if (task === 'text-to-image' && image.read() !== given.control_image) {
			askForAsLarge(place, model, task, map)
		}
	})
	place.append(image.element, shown)
	return (): Given => {
		const map = image.read()
		const fields = told.flatMap(({ field, number }) => (number.value ? [[field, Number(number.value)]] : []))
		return map ? { control_image: map, ...Object.fromEntries(fields) } : {}
	}
}

/** Makes the picture as large as a map that was chosen, as far as the model allows. */
function askForAsLarge(place: HTMLElement, model: Model, task: Task, map: HTMLImageElement): void {
	const size = sizeOf(model, task, { width: map.naturalWidth, height: map.naturalHeight })
	for (const side of ['width', 'height'] as const) {
		place.closest('form')!.querySelector<HTMLInputElement>(`[name=${side}]`)!.value = String(size[side])
	}
	place.dispatchEvent(new Event('input', { bubbles: true }))
}

/** An image, and what is to be drawn anew painted over it; also from a file, to paint on. */
function maskedInput(place: HTMLElement, given: Given): Read {
	const easel = h('div')
	let canvas: Sketch | undefined
	let latest: unknown
	const lay = async () => {
		const [backdrop, over] = [image.shown(), mask.shown()]
		if (!backdrop) {
			return
		}
		const mine = {}
		latest = mine
		const { naturalWidth, naturalHeight } = await loaded(backdrop)
		const ground = over && tinted(await loaded(over))
		if (latest !== mine) {
			return // The other of the two has come meanwhile.
		}
		const scale = Math.min(1, mostSide / Math.max(naturalWidth, naturalHeight))
		canvas = sketch({
			width: Math.round(naturalWidth * scale),
			height: Math.round(naturalHeight * scale),
			...(ground && { ground }),
			brush: () => tint,
			backdrop,
			label: 'The image; paint over what is to be drawn anew'
		})
		easel.replaceChildren(canvas.element)
		place.dispatchEvent(new Event('input', { bubbles: true }))
	}
	const image = picture('Image', given.image, lay)
	const mask = picture('Mask (white is drawn anew), to paint on', given.mask, lay)
	place.append(image.element, easel, mask.element)
	return async () => {
		const from = image.read()
		const drawn = canvas?.isTouched() && canvas.read()
		const over = canvas?.isTouched() ? drawn && (await whiteOnBlack(drawn)) : mask.read()
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

/** A map that is painted in the colours of its classes; or one from a file, which gives the picture its size. */
function mapInput(place: HTMLElement, model: Model, task: 'semantic-synthesis', given: Given): Read {
	const { labels } = model.tasks[task]!
	const side = model.size.default
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
	const lay = (ground: string | HTMLImageElement): Sketch => {
		const [width, height] = typeof ground === 'string' ? [side, side] : [ground.naturalWidth, ground.naturalHeight]
		const canvas = sketch({ width, height, ground, brush, label: 'The map; paint where what is to be' })
		canvas.element.lastElementChild!.append(h('button', { type: 'button', click: canvas.flood }, 'Fill'))
		easel.replaceChildren(canvas.element)
		return canvas
	}
	let canvas = lay(labels[0]!.color)
	const map = picture('A map from a file, to paint on', given.semantic_map, async (url) => {
		const ground = await loaded(url)
		canvas = lay(ground)
		if (map.read() !== given.semantic_map) {
			askForAsLarge(place, model, task, ground)
		}
	})
	place.append(palette, easel, map.element)
	return async () => ({ fields: { semantic_map: canvas.isTouched() ? canvas.read() : (map.read() ?? canvas.read()) } })
}
