/** A small line plot as SVG: no scripts, no fonts of its own, readable on white and on dark. */

export interface Line {
	readonly name: string
	readonly colour: string
	readonly points: readonly (readonly [x: number, y: number])[]
	/** Points that stand by themselves, drawn as dots. */
	readonly dots?: readonly (readonly [x: number, y: number])[]
}

interface Axis {
	readonly label: string
	readonly from: number
	readonly to: number
	readonly ticks: readonly number[]
}

const [width, height, left, right, top, bottom] = [760, 400, 60, 190, 40, 50]

export function plot(title: string, x: Axis, y: Axis, lines: readonly Line[]): string {
	const at = (axis: Axis, value: number) => (value - axis.from) / (axis.to - axis.from)
	const px = (value: number) => (left + at(x, value) * (width - left - right)).toFixed(1)
	const py = (value: number) => (height - bottom - at(y, Math.min(value, y.to)) * (height - top - bottom)).toFixed(1)
	const text = (tx: number | string, ty: number | string, content: string, more = '') =>
		`<text x="${tx}" y="${ty}" ${more}>${content}</text>`
	const grid = [
		...x.ticks.map(
			(tick) =>
				`<path d="M${px(tick)} ${py(y.from)}V${py(y.to)}" stroke="#ddd"/>${text(px(tick), height - bottom + 18, String(tick), 'text-anchor="middle"')}`
		),
		...y.ticks.map(
			(tick) =>
				`<path d="M${px(x.from)} ${py(tick)}H${px(x.to)}" stroke="#ddd"/>${text(left - 8, Number(py(tick)) + 4, String(tick), 'text-anchor="end"')}`
		)
	]
	const drawn = lines.map(({ name, colour, points, dots = [] }, i) => {
		const within = points.filter(([, value]) => value <= y.to)
		const path = within.map(([a, b], k) => `${k ? 'L' : 'M'}${px(a)} ${py(b)}`).join('')
		const key = top + 10 + i * 22
		return [
			`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
			...dots.map(([a, b]) => `<circle cx="${px(a)}" cy="${py(b)}" r="4" fill="${colour}"/>`),
			`<path d="M${width - right + 16} ${key}h20" stroke="${colour}" stroke-width="2"/>`,
			text(width - right + 42, key + 4, name)
		].join('')
	})
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">`,
		`<title>${title}</title>`,
		`<rect width="${width}" height="${height}" fill="#fff"/>`,
		text(left, 22, title, 'font-size="14"'),
		...grid,
		...drawn,
		text((left + width - right) / 2, height - 12, x.label, 'text-anchor="middle"'),
		text(
			16,
			(top + height - bottom) / 2,
			y.label,
			`text-anchor="middle" transform="rotate(-90 16 ${(top + height - bottom) / 2})"`
		),
		'</svg>',
		''
	].join('\n')
}
