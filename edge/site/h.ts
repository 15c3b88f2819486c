type Child = Node | string | number | undefined
type Value = string | number | boolean | ((event: Event) => void) | undefined

/** An element. Attributes that are functions are listeners; text is always text, so nothing that an API answers becomes markup. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Record<string, Value> = {}, ...children: Child[]) {
	return filled(document.createElement(tag), attributes, children)
}

/** The same in SVG. */
export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, Value> = {}, ...children: Child[]) {
	return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

/** The element of the page with this id. */
export function find(id: string): HTMLElement {
	const found = document.getElementById(id)
	if (!found) {
		throw new Error(`Expected an element #${id}, got none`)
	}
	return found
}

function filled<E extends Element>(element: E, attributes: Record<string, Value>, children: Child[]): E {
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === 'function') {
			element.addEventListener(name, value)
		} else if (value !== undefined && value !== false) {
			element.setAttribute(name, value === true ? '' : String(value))
		}
	}
	element.append(
		...children.filter((child) => child !== undefined).map((child) => (child instanceof Node ? child : String(child)))
	)
	return element
}
