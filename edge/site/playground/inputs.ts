import type { Model, ModelTasks } from '../../../shared/catalog.ts'
import type { GenerationOrder } from '../../../shared/contract/order.ts'
import type { Task } from '../../../shared/tasks.ts'
import { find, h } from '../h.ts'
import { sketch } from './sketch.ts'

/** Gives the fields of a request that a task's own inputs come to. */
type Read = () => Promise<Partial<GenerationOrder>>

/** Puts the inputs of a task into the form. */
export function showInputs(model: Model, task: Task): Read {
	const place = find('inputs')
	place.replaceChildren()
	const { tasks, size } = model
	switch (task) {
		case 'image-to-image':
		case 'super-resolution':
			return imageInput(place)
		case 'inpainting':
			return maskedInput(place)
		case 'class-conditional':
			return classInput(place, tasks[task]!.classes)
		case 'layout-to-image':
			return layoutInput(place, tasks[task]!.labels)
		case 'semantic-synthesis':
			return mapInput(place, tasks[task]!.labels, size.default)
		default:
			return async () => ({})
	}
}

const picker = (label: string) => {
	const file = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp,image/gif,image/avif' })
	return { file, element: h('label', {}, label, file) }
}

const dataUrl = (file: File): Promise<string> =>
	new Promise((resolve, reject) => {
		const reader = new FileReader()
		reader.addEventListener('load', () => resolve(reader.result as string))
		reader.addEventListener('error', () => reject(reader.error))
		reader.readAsDataURL(file)
	})

function imageInput(place: HTMLElement): Read {
	const { file, element } = picker('Image')
	place.append(element)
	return async () => (file.files?.[0] ? { image: await dataUrl(file.files[0]) } : {})
}

/** An image, and what is to be drawn anew painted over it; or a mask from a file. */
function maskedInput(place: HTMLElement): Read {
	const image = picker('Image')
	const mask = picker('Mask from a file (white is drawn anew), or paint it below')
	const easel = h('div')
	let painted: (() => string) | undefined
	place.append(image.element, mask.element, easel)
	image.file.addEventListener('change', async () => {
		const file = image.file.files?.[0]
		if (file) {
			const { width, height } = await createImageBitmap(file)
			const canvas = sketch({
				width,
				height,
				ground: 'transparent',
				brush: () => 'white',
				backdrop: await dataUrl(file),
				label: 'The image; paint over what is to be drawn anew'
			})
			painted = canvas.read
			easel.replaceChildren(canvas.element)
		}
	})
	return async () => {
		const [picture, drawn] = [image.file.files?.[0], mask.file.files?.[0]]
		if (!picture) {
			return {}
		}
		return { image: await dataUrl(picture), mask: drawn ? await dataUrl(drawn) : await onBlack(painted!()) }
	}
}

/** What was painted, on black: the rest is kept as it is. */
async function onBlack(url: string): Promise<string> {
	const image = new Image()
	image.src = url
	await image.decode()
	const canvas = h('canvas', { width: image.naturalWidth, height: image.naturalHeight })
	const context = canvas.getContext('2d')!
	context.fillRect(0, 0, canvas.width, canvas.height)
	context.drawImage(image, 0, 0)
	return canvas.toDataURL('image/png')
}

const choice = (label: string, names: readonly string[]) => {
	const select = h('select', {}, ...names.map((name, value) => h('option', { value }, name)))
	return { select, element: h('label', {}, label, select) }
}

function classInput(place: HTMLElement, classes: readonly string[]): Read {
	const { select, element } = choice('Class', classes)
	place.append(element)
	return async () => ({ class_label: Number(select.value) })
}

function mapInput(place: HTMLElement, labels: NonNullable<ModelTasks['semantic-synthesis']>['labels'], side: number): Read {
	const { select, element } = choice(
		'Paint with',
		labels.map(({ name }) => name)
	)
	const file = picker('A map from a file, or paint it below')
	const brush = () => labels[Number(select.value)]!.color
	const canvas = sketch({ width: side, height: side, ground: labels[0]!.color, brush, label: 'The map' })
	place.append(file.element, element, canvas.element)
	return async () => ({ semantic_map: file.file.files?.[0] ? await dataUrl(file.file.files[0]) : canvas.read() })
}

/** Boxes as rows of numbers, in parts of the picture, and drawn with the pointer. */
function layoutInput(place: HTMLElement, labels: readonly string[]): Read {
	const side = 256
	const canvas = h('canvas', { width: side, height: side, role: 'img', 'aria-label': 'The boxes; drag to add one' })
	const rows = h('div')
	const context = canvas.getContext('2d')!
	const boxes = () =>
		[...rows.children].map((row) => {
			const [label, ...sides] = [...row.querySelectorAll<HTMLSelectElement | HTMLInputElement>('select, input')]
			return { label: Number(label!.value), box: sides.map(({ value }) => Number(value)) }
		})
	const draw = () => {
		context.clearRect(0, 0, side, side)
		for (const { label, box } of boxes()) {
			const [x0, y0, x1, y1] = box.map((part) => part * side) as [number, number, number, number]
			context.strokeStyle = context.fillStyle = '#c9544a'
			context.strokeRect(x0, y0, x1 - x0, y1 - y0)
			context.fillText(labels[label] ?? '', x0 + 4, y0 + 12)
		}
	}
	const add = (box: readonly number[]) => {
		const { select, element } = choice('What', labels)
		const sides = ['left', 'top', 'right', 'bottom'].map((name, i) => {
			const input = h('input', { type: 'number', min: 0, max: 1, step: 'any', value: Number(box[i]!.toFixed(3)), input: draw })
			return h('label', {}, name, input)
		})
		const row = h('div', { class: 'grid' }, element, ...sides)
		row.append(h('button', { type: 'button', click: () => [row.remove(), draw()] }, 'Remove'))
		select.addEventListener('change', draw)
		rows.append(row)
		draw()
	}
	let from: [number, number] | undefined
	const at = ({ offsetX, offsetY }: PointerEvent): [number, number] => [
		offsetX / canvas.clientWidth,
		offsetY / canvas.clientHeight
	]
	canvas.addEventListener('pointerdown', (event) => {
		from = at(event)
	})
	canvas.addEventListener('pointerup', (event) => {
		const to = at(event)
		if (from && Math.abs(to[0] - from[0]) > 0.02 && Math.abs(to[1] - from[1]) > 0.02) {
			const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b)
			const [y0, y1] = [from[1], to[1]].sort((a, b) => a - b)
			add([x0!, y0!, x1!, y1!])
		}
	})
	const middle = h('button', { type: 'button', click: () => add([0.25, 0.25, 0.75, 0.75]) }, 'Add a box')
	place.append(canvas, rows, middle)
	return async () => ({ layout: boxes() })
}
