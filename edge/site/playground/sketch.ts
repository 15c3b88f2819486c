import { h } from '../h.ts'

export interface Sketch {
	element: HTMLElement
	/** What was painted, as a PNG in a data URI; undefined where nothing was, on nothing. */
	read(): string | undefined
	/** Whether it is another than it was at first. */
	isTouched(): boolean
	/** Covers everything with the colour of the brush. */
	flood(): void
}

interface Options {
	width: number
	height: number
	/** What is there before anything is painted: a colour, or a picture. Over a backdrop it is no more than the first stroke. */
	ground?: string | CanvasImageSource
	/** The colour of the brush just now. */
	brush(): string
	/** Shown under the painting, which is then seen through. */
	backdrop?: string
	label: string
}

type Stroke = { colour: string; width: number; points: [number, number][] }

/** A canvas to paint on, with a brush of adjustable size; strokes can be taken back. */
export function sketch({ width, height, ground: first, brush, backdrop, label }: Options): Sketch {
	const canvas = h('canvas', { width, height, role: 'img', 'aria-label': label, class: backdrop ? 'over' : undefined })
	const size = h('input', { type: 'range', min: 2, max: Math.round(width / 3), value: Math.round(width / 8) })
	const context = canvas.getContext('2d')!
	let ground = first
	let strokes: Stroke[] = []
	const paint = ({ colour, width: lineWidth, points }: Stroke) => {
		Object.assign(context, { lineCap: 'round', lineJoin: 'round', lineWidth, strokeStyle: colour })
		context.beginPath()
		const [x, y] = points[0]!
		// A line of no length is not drawn, and a click is a dab.
		context.moveTo(x - 0.01, y)
		for (const point of points) {
			context.lineTo(...point)
		}
		context.stroke()
	}
	const repaint = () => {
		context.clearRect(0, 0, width, height)
		if (typeof ground === 'string') {
			context.fillStyle = ground
			context.fillRect(0, 0, width, height)
		} else if (ground) {
			context.imageSmoothingEnabled = false
			context.drawImage(ground, 0, 0, width, height)
		}
		strokes.forEach(paint)
	}
	const at = ({ offsetX, offsetY }: PointerEvent): [number, number] => [
		(offsetX * width) / canvas.clientWidth,
		(offsetY * height) / canvas.clientHeight
	]
	/** That draws the last stroke just now. */
	let pointer: number | undefined
	canvas.addEventListener('pointerdown', (event) => {
		// A second finger, or another button, is no stroke.
		if (!event.isPrimary || event.button !== 0) {
			return
		}
		canvas.setPointerCapture(event.pointerId)
		pointer = event.pointerId
		strokes.push({ colour: brush(), width: Number(size.value), points: [at(event)] })
		repaint()
	})
	canvas.addEventListener('pointermove', (event) => {
		if (event.pointerId === pointer) {
			strokes.at(-1)?.points.push(at(event))
			repaint()
		}
	})
	// Where a mouse would paint, and how much.
	const ring = h('div', { class: 'ring', hidden: true })
	canvas.addEventListener('pointermove', ({ pointerType, offsetX, offsetY }) => {
		ring.hidden = pointerType !== 'mouse'
		const across = (Number(size.value) * canvas.clientWidth) / width
		Object.assign(ring.style, { left: `${offsetX}px`, top: `${offsetY}px`, width: `${across}px` })
	})
	canvas.addEventListener('pointerleave', () => {
		ring.hidden = true
	})
	const changed = () => canvas.dispatchEvent(new Event('input', { bubbles: true }))
	const lift = ({ pointerId }: PointerEvent) => {
		if (pointerId === pointer) {
			pointer = undefined
			changed()
		}
	}
	canvas.addEventListener('pointerup', lift)
	canvas.addEventListener('pointercancel', lift)
	const change = (left: Stroke[]) => {
		strokes = left
		repaint()
		changed()
	}
	const button = (text: string, click: () => void) => h('button', { type: 'button', click }, text)
	repaint()
	const sheet = h('div', { class: 'sheet' }, canvas, ring)
	if (backdrop) {
		sheet.style.backgroundImage = `url("${backdrop}")`
	}
	const tools = h(
		'div',
		{ class: 'row' },
		h('label', { class: 'brush' }, 'Brush', size),
		button('Undo', () => change(strokes.slice(0, -1))),
		button('Clear', () => {
			ground = backdrop ? undefined : ground
			change([])
		})
	)
	// The canvas says so itself to whoever hears it.
	const hint = h('p', { class: 'faint', 'aria-hidden': 'true' }, label)
	return {
		element: h('div', { class: 'easel' }, hint, sheet, tools),
		isTouched: () => ground !== first || strokes.length > 0,
		read: () => (ground || strokes.length > 0 ? canvas.toDataURL('image/png') : undefined),
		flood: () => change([...strokes, { colour: brush(), width: 4 * Math.max(width, height), points: [[width / 2, height / 2]] }])
	}
}
