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

type Point = [number, number]
type Stroke = { colour: string; width: number; points: Point[] }

const keys = 'By keyboard: the arrows move the brush, the space bar paints, + and − change its size.'
const ways = new Map<string, Point>([
	['ArrowLeft', [-1, 0]],
	['ArrowRight', [1, 0]],
	['ArrowUp', [0, -1]],
	['ArrowDown', [0, 1]]
])

/** A canvas to paint on, with a brush of adjustable size, by pointer or by keyboard; strokes can be taken back. */
export function sketch({ width, height, ground: first, brush, backdrop, label }: Options): Sketch {
	const named = { role: 'application', tabindex: 0, 'aria-label': label, 'aria-description': keys }
	const canvas = h('canvas', { width, height, ...named, class: backdrop ? 'over' : undefined })
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
	/** Where the brush is. */
	let place: Point = [width / 2, height / 2]
	/** Shows where it would paint, and how much. */
	const ring = h('div', { class: 'ring', hidden: true })
	const showRing = () => {
		ring.hidden = false
		const [left, top] = [(100 * place[0]) / width, (100 * place[1]) / height]
		Object.assign(ring.style, { left: `${left}%`, top: `${top}%`, width: `${(100 * Number(size.value)) / width}%` })
	}
	/** What draws the last stroke just now: a pointer, or the space bar. */
	let drawing: number | ' ' | undefined
	const press = (by: number | ' ') => {
		drawing = by
		strokes.push({ colour: brush(), width: Number(size.value), points: [place] })
		repaint()
	}
	const changed = () => canvas.dispatchEvent(new Event('input', { bubbles: true }))
	const lift = (by: number | ' ') => {
		if (by === drawing) {
			drawing = undefined
			changed()
		}
	}
	const moveTo = (to: Point, by: number | ' ') => {
		place = to
		if (by === drawing) {
			strokes.at(-1)?.points.push(to)
			repaint()
		}
	}
	const at = ({ offsetX, offsetY }: PointerEvent): Point => [
		(offsetX * width) / canvas.clientWidth,
		(offsetY * height) / canvas.clientHeight
	]
	canvas.addEventListener('pointerdown', (event) => {
		// A second finger, another button, or what comes while the space bar paints, is no stroke.
		if (!event.isPrimary || event.button !== 0 || drawing === ' ') {
			return
		}
		canvas.setPointerCapture(event.pointerId)
		place = at(event)
		press(event.pointerId)
	})
	canvas.addEventListener('pointermove', (event) => {
		if (drawing === undefined || event.pointerId === drawing) {
			moveTo(at(event), event.pointerId)
		}
		if (event.pointerType === 'mouse') {
			showRing()
		} else {
			ring.hidden = true
		}
	})
	const hideRing = () => {
		ring.hidden = !canvas.matches(':focus-visible')
	}
	canvas.addEventListener('pointerleave', hideRing)
	canvas.addEventListener('pointerup', ({ pointerId }) => lift(pointerId))
	// With a second finger the browser takes it for scrolling: then nothing was to be painted.
	canvas.addEventListener('pointercancel', ({ pointerId }) => {
		if (pointerId === drawing) {
			strokes.pop()
			repaint()
			lift(pointerId)
		}
	})
	canvas.addEventListener('keydown', (event) => {
		const { key, repeat, ctrlKey, altKey, metaKey } = event
		const way = ways.get(key)
		if (ctrlKey || altKey || metaKey) {
			return
		}
		if (way) {
			const step = Math.max(1, Number(size.value) / 4)
			const within = (to: number, most: number) => Math.min(most, Math.max(0, to))
			moveTo([within(place[0] + step * way[0], width), within(place[1] + step * way[1], height)], ' ')
		} else if (key === ' ') {
			if (!repeat && drawing === undefined) {
				press(' ')
			}
		} else if ('+=-−'.includes(key)) {
			size.value = String(Math.round(Number(size.value) * ('+='.includes(key) ? 1.25 : 0.8)))
		} else {
			return
		}
		event.preventDefault()
		showRing()
	})
	canvas.addEventListener('keyup', ({ key }) => key === ' ' && lift(key))
	canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && showRing())
	canvas.addEventListener('blur', () => {
		lift(' ')
		hideRing()
	})
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
	const hint = h('p', { class: 'faint', 'aria-hidden': 'true' }, `${label}. `, h('span', { class: 'keys' }, keys))
	return {
		element: h('div', { class: 'easel' }, hint, sheet, tools),
		isTouched: () => ground !== first || strokes.length > 0,
		read: () => (ground || strokes.length > 0 ? canvas.toDataURL('image/png') : undefined),
		flood: () => change([...strokes, { colour: brush(), width: 4 * Math.max(width, height), points: [[width / 2, height / 2]] }])
	}
}
