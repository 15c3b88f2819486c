import './page.css'
import { attempt } from '../attempt.ts'
import { find, h } from '../h.ts'
import { curl } from '../playground/copy.ts'
import { type Content, type Document, fieldsOf, type Operation, type Schema, spelledOut, typeOf } from './openapi.ts'

interface Entry {
	id: string
	method: string
	path: string
	operation: Operation
}

const problemType = 'application/problem+json'

function byTag({ paths }: Document): Record<string, Entry[]> {
	const tags: Record<string, Entry[]> = {}
	for (const [path, item] of Object.entries(paths)) {
		for (const [method, operation] of Object.entries(item)) {
			const tag = operation.tags[0] ?? ''
			tags[tag] ??= []
			tags[tag].push({ id: operation.operationId, method: method.toUpperCase(), path, operation })
		}
	}
	return tags
}

function section({ id, method, path, operation }: Entry): HTMLElement {
	const { summary = '', description, parameters = [], requestBody, responses, security } = operation
	const guard =
		security.length === 0 ? 'Needs no key.' : 'admin' in security[0]! ? "Needs the operator's token." : 'Needs an API key.'
	return h(
		'section',
		{ id, class: 'panel' },
		h('h2', {}, h('code', {}, `${method} ${path}`)),
		h('p', {}, ...prose(`${summary}. ${description ?? ''} `), h('span', { class: 'faint' }, guard)),
		...(parameters.length > 0
			? [
					h('h3', {}, 'Parameters'),
					table(
						parameters.map(({ name, in: where, schema, required = false, description: text }) => [
							name,
							`${where}${required ? ', required' : ''}`,
							typeOf(schema),
							text ?? ''
						])
					)
				]
			: []),
		...(requestBody ? [h('h3', {}, 'Body'), ...bodies(requestBody.content, 'required')] : []),
		h('h3', {}, 'Answers'),
		...Object.entries(responses).map(([status, { description: text, content }]) => {
			const line = [h('b', {}, status), ' ', ...prose(text)]
			// All errors look alike: what they hold is told once.
			return content && !(problemType in content)
				? h('details', {}, h('summary', {}, ...line), ...bodies(content))
				: h('p', { class: 'answer' }, ...line)
		})
	)
}

/** What descriptions put between backticks is code. */
const prose = (text: string): (string | HTMLElement)[] =>
	text.split('`').map((piece, i) => (i % 2 === 0 ? piece : h('code', {}, piece)))

/** A long path goes on in the next line between its parts. */
const broken = (path: string) => path.split(/(?=\/)/).flatMap((part) => [h('wbr'), part])

const bodies = (content: Content, mark?: string): HTMLElement[] =>
	Object.entries(content).flatMap(([type, { schema }]) => [h('p', { class: 'faint' }, type), fieldTable(schema, mark)])

/** `mark`: what is said of fields that are never absent. */
function fieldTable(schema: Schema, mark = 'always'): HTMLElement {
	const fields = fieldsOf(schema)
	return fields.length === 0
		? h('p', {}, typeOf(schema))
		: table(
				fields.map(({ path, schema: field, required }) => {
					const preset = field.default === undefined ? '' : `default ${JSON.stringify(field.default)}`
					return [path, required ? mark : preset, typeOf(field), field.description ?? '']
				})
			)
}

const table = (rows: string[][]): HTMLElement =>
	h(
		'table',
		{},
		...rows.map(([name = '', ...cells]) =>
			h('tr', {}, h('th', { scope: 'row' }, h('code', {}, name)), ...cells.map((cell) => h('td', {}, ...prose(cell))))
		)
	)

await attempt(find('about'), async () => {
	const document = spelledOut(await (await fetch('/openapi.json')).json())

	find('about').append(...prose(document.info.description))
	const { example = {} } = document.paths['/v1/generations']!.post!.requestBody!.content['application/json']!
	find('about').after(h('pre', { class: 'panel', tabindex: 0 }, curl(example, location.origin)))
	const isAside = (tag: string) => tag === 'admin' || tag === 'health'
	const tags = Object.entries(byTag(document)).sort(([a], [b]) => Number(isAside(a)) - Number(isAside(b)))
	for (const [tag, operations] of tags) {
		find('contents').append(
			h(
				'div',
				{},
				h('h2', {}, tag),
				...operations.map(({ id, method, path }) =>
					h('a', { href: `#${id}` }, h('b', {}, method), h('span', {}, ...broken(path)))
				)
			)
		)
		find('operations').append(...operations.map(section))
	}
	find('errors').append(fieldTable(document.components.schemas.Problem!))
	find('errors').hidden = false
	// The page was empty when the browser looked for it.
	if (location.hash) {
		window.document.getElementById(location.hash.slice(1))?.scrollIntoView()
	}
})
