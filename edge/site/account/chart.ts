import { count } from '../format.ts'
import { h, svg } from '../h.ts'

export interface Day {
	/** As 2026-11-25. */
	day: string
	pictures: number
}

const width = 720
const height = 180

/**
 * Bars, one a day, between the most and the days that they span. Each bar names its day and count to whoever points at it; the whole is one picture
 * with one sentence to whoever cannot see it.
 */
export function chart(days: readonly Day[]): Element[] {
	const most = Math.max(...days.map(({ pictures }) => pictures))
	const total = days.reduce((sum, { pictures }) => sum + pictures, 0)
	const step = width / days.length
	const bars = days.map(({ day, pictures }, i) => {
		const tall = (pictures / most) * (height - 2)
		const bar = svg('rect', { x: i * step + 2, y: height - 1 - tall, width: step - 4, height: tall, rx: 2 })
		bar.append(svg('title', {}, `${day}: ${count(pictures)}`))
		return bar
	})
	const picture = svg(
		'svg',
		{
			viewBox: `0 0 ${width} ${height}`,
			role: 'img',
			'aria-label': `${count(total)} pictures in ${days.length} days, at most ${count(most)} on one day`
		},
		...[1, height - 1].map((y) => svg('line', { x1: 0, x2: width, y1: y, y2: y })),
		...bars
	)
	const line = (...texts: string[]) => h('div', { 'aria-hidden': 'true' }, ...texts.map((text) => h('span', {}, text)))
	return [line(count(most)), picture, line(days[0]?.day ?? '', days.at(-1)?.day ?? '')]
}
