import { h } from '../h.ts'

export interface Sketch {
	element: HTMLElement
	/** What was painted, as a PNG in a data URI. */
	read(): string
}

interface Options {
	width: number
	height: number
	/** What the canvas is filled with before anything is painted. */
	ground: string
	/** The colour of the brush just now. */
	brush(): string
	/** Shown under the painting, which is then seen through. */
	backdrop?: string
	label: string
}

/** A canvas to paint on, with a brush of adjustable size. */
export function sketch({ width, height, ground, brush, backdrop, label }: Options): Sketch {
	const canvas = h('canvas', { width, height, role: 'img', 'aria-label': label })
	const size = h('input', { type: 'range', min: 2, max: Math.round(width / 3), value: Math.round(width / 8) })
	const painted = canvas.getContext('2d')!
	const clear = () => {
		painted.clearRect(0, 0, width, height)
		painted.fillStyle = ground
		painted.fillRect(0, 0, width, height)
	}
	const at = ({ offsetX, offsetY }: PointerEvent): [number, number] => [
		(offsetX * width) / canvas.clientWidth,
		(offsetY * height) / canvas.clientHeight
	]
	const dab = (event: PointerEvent) => {
		painted.lineTo(...at(event))
		painted.stroke()
	}
	canvas.addEventListener('pointerdown', (event) => {
		canvas.setPointerCapture(event.pointerId)
		Object.assign(painted, { lineCap: 'round', lineJoin: 'round', lineWidth: Number(size.value), strokeStyle: brush() })
		painted.beginPath()
		painted.moveTo(...at(event))
		dab(event)
	})
	canvas.addEventListener('pointermove', (event) => {
		if (canvas.hasPointerCapture(event.pointerId)) {
			dab(event)
		}
	})
	clear()
	if (backdrop) {
		canvas.style.background = `center / 100% 100% url("${backdrop}")`
	}
	const element = h(
		'div',
		{},
		canvas,
		h('div', { class: 'row' }, h('label', {}, 'Brush', size), h('button', { type: 'button', click: clear }, 'Clear'))
	)
	return { element, read: () => canvas.toDataURL('image/png') }
}
