import { h } from '../h.ts'

/** `numbers`: from which column on there are numbers. */
export function table(heads: string[], rows: HTMLTableRowElement[], numbers = heads.length): HTMLTableElement {
	const cells = heads.map((head, i) =>
		head ? h('th', { scope: 'col', class: i >= numbers ? 'number' : undefined }, head) : h('td')
	)
	return h('table', {}, h('thead', {}, h('tr', {}, ...cells)), h('tbody', {}, ...rows))
}
