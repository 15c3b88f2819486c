import type { ModelTasks } from '../../../shared/catalog.ts'
import type { GenerationRequest } from '../../../shared/contract/generation.ts'
import { h } from '../h.ts'

type Layout = NonNullable<GenerationRequest['layout']>
type Point = [number, number]

const side = 384
/** Of the picture's side: what is smaller was a click. */
const least = 0.02

/** Boxes to fill, drawn with the pointer, or as numbers in parts of the picture. */
export function boxes({ labels, max }: NonNullable<ModelTasks['layout-to-image']>, given: Layout) {
	const options = () => labels.map((name, value) => h('option', { value }, name))
	const next = h('select', {}, ...options())
	const canvas = h('canvas', { width: side, height: side, role: 'img', 'aria-label': 'The boxes' })
	const rows = h('div', { class: 'boxes' })
	const context = canvas.getContext('2d')!

	const read = () =>
		[...rows.children].map((row) => {
			const [label, ...sides] = [...row.querySelectorAll<HTMLSelectElement | HTMLInputElement>('select, input')]
			return { label: Number(label!.value), box: sides.map(({ value }) => Number(value)) }
		})
	const outline = (label: number, box: readonly number[]) => {
		const [x0, y0, x1, y1] = box.map((part) => part * side) as [number, number, number, number]
		const { color } = getComputedStyle(canvas)
		Object.assign(context, { strokeStyle: color, fillStyle: color, lineWidth: 2, globalAlpha: 0.12 })
		context.fillRect(x0, y0, x1 - x0, y1 - y0)
		context.globalAlpha = 1
		context.strokeRect(x0, y0, x1 - x0, y1 - y0)
		Object.assign(context, { font: '600 15px system-ui, sans-serif', textBaseline: 'top' })
		context.fillText(labels[label] ?? '', x0 + 6, y0 + 6, Math.max(8, x1 - x0 - 12))
	}
	const draw = () => {
		context.clearRect(0, 0, side, side)
		for (const { label, box } of read()) {
			outline(label, box)
		}
	}
	const changed = () => rows.dispatchEvent(new Event('input', { bubbles: true }))
	const add = (label: number, box: readonly number[]) => {
		if (rows.childElementCount >= max) {
			return
		}
		const what = h('select', { 'aria-label': 'What is in the box', change: draw }, ...options())
		what.value = String(label)
		const sides = ['left', 'top', 'right', 'bottom'].map((name, i) =>
			h('input', {
				type: 'number',
				min: 0,
				max: 1,
				step: 'any',
				required: true,
				'aria-label': name,
				value: Number(box[i]!.toFixed(2)),
				input: draw
			})
		)
		const remove = () => {
			const beside = row.nextElementSibling ?? row.previousElementSibling
			// A keyboard goes on from there.
			;(beside?.querySelector('button') ?? adds).focus()
			row.remove()
			draw()
			changed()
		}
		const row = h(
			'div',
			{ role: 'group', 'aria-label': 'A box' },
			what,
			...sides,
			h('button', { type: 'button', 'aria-label': 'Remove the box', click: remove }, '×')
		)
		rows.append(row)
		draw()
		changed()
	}

	let from: Point | undefined
	const at = ({ offsetX, offsetY }: PointerEvent): Point => {
		const part = (offset: number, whole: number) => Math.min(1, Math.max(0, offset / whole))
		return [part(offsetX, canvas.clientWidth), part(offsetY, canvas.clientHeight)]
	}
	const between = ([ax, ay]: Point, [bx, by]: Point) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]
	canvas.addEventListener('pointerdown', (event) => {
		// A second finger, or another button, is no stroke.
		if (!event.isPrimary || event.button !== 0) {
			return
		}
		canvas.setPointerCapture(event.pointerId)
		from = at(event)
	})
	canvas.addEventListener('pointermove', (event) => {
		if (from && event.isPrimary) {
			draw()
			outline(Number(next.value), between(from, at(event)))
		}
	})
	canvas.addEventListener('pointercancel', () => {
		from = undefined
		draw()
	})
	canvas.addEventListener('pointerup', (event) => {
		if (!event.isPrimary) {
			return
		}
		const to = at(event)
		if (from && Math.abs(to[0] - from[0]) > least && Math.abs(to[1] - from[1]) > least) {
			add(Number(next.value), between(from, to))
		}
		from = undefined
		draw()
	})
	const middle = () => add(Number(next.value), [0.25, 0.25, 0.75, 0.75])
	const adds = h('button', { type: 'button', click: middle }, 'Add in the middle')
	const tools = h('div', { class: 'row' }, h('label', { class: 'brush' }, 'Next box', next), adds)
	for (const { label, box } of given) {
		add(typeof label === 'string' ? labels.indexOf(label) : label, box)
	}
	// Until it is on the page it has no colour to draw in.
	requestAnimationFrame(draw)
	const hint = h('p', { class: 'faint' }, `Drag over it to add a box: ${max} at most.`)
	return { element: h('div', { class: 'easel' }, tools, hint, canvas, rows), read }
}
