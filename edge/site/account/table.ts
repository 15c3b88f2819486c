import { h } from '../h.ts'

/** A keyboard stops where a table is wider than its place, to push it to the side; not all browsers let it do so by themselves. */
const observer = new ResizeObserver((entries) => {
	for (const { target } of entries) {
		const place = target.parentElement
		if (place) {
			place.tabIndex = place.scrollWidth > place.clientWidth ? 0 : -1
		}
	}
})

/** `numbers`: from which column on there are numbers. */
export function table(heads: string[], rows: HTMLTableRowElement[], numbers = heads.length): HTMLTableElement {
	const cells = heads.map((head, i) =>
		head ? h('th', { scope: 'col', class: i >= numbers ? 'number' : undefined }, head) : h('td')
	)
	const made = h('table', {}, h('thead', {}, h('tr', {}, ...cells)), h('tbody', {}, ...rows))
	observer.observe(made)
	return made
}
