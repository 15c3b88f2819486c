import type { Darkroom } from '../../../shared/client.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { find, h } from '../h.ts'
import { recipes } from './copy.ts'

/** The account's generations, newest first. `reuse` puts a request back into the form. */
export async function openGallery(client: Darkroom, reuse: (request: Generation['request']) => void) {
	const gallery = find('gallery')
	const more = find('more') as HTMLButtonElement
	let next: string | null | undefined
	const show = async () => {
		const page = await client.generations(next ?? undefined)
		next = page.next
		more.hidden = next === null
		gallery.append(...page.generations.filter(({ status }) => status === 'succeeded').map(card))
	}
	const card = (generation: Generation): HTMLElement => {
		const { id, request, images } = generation
		const said = find('said')
		const copy = async (name: string) => {
			await navigator.clipboard.writeText(recipes[name]!(request, location.origin))
			said.textContent = `Copied for ${name}.`
		}
		const remove = async () => {
			await client.remove(id)
			article.remove()
			said.textContent = 'Deleted.'
		}
		const button = (text: string, click: () => void) => h('button', { type: 'button', click }, text)
		const article = h(
			'article',
			{ class: 'panel' },
			picturesOf(generation),
			h('p', {}, request.prompt || request.task || ''),
			h('p', { class: 'faint' }, `${request.model}, ${request.steps} steps, seed ${request.seed}`),
			h(
				'details',
				{},
				h('summary', {}, 'The whole request'),
				h('pre', { tabindex: 0 }, JSON.stringify(request, null, 2)),
				h(
					'div',
					{ class: 'row' },
					...Object.keys(recipes).map((name) => button(`Copy as ${name}`, () => void copy(name))),
					button('Use again', () => reuse(request)),
					button('Delete', () => void remove())
				)
			)
		)
		article.style.setProperty('--aspect', `${images[0]?.width ?? 1} / ${images[0]?.height ?? 1}`)
		return article
	}
	more.addEventListener('click', () => void show())
	await show()
	return { add: (generation: Generation) => gallery.prepend(card(generation)) }
}

const picturesOf = ({ images, request }: Generation) =>
	h(
		'div',
		{ class: 'pictures' },
		...images.map(({ url, n }) =>
			h(
				'a',
				{ href: url, target: '_blank', rel: 'noopener' },
				h('img', { src: url, alt: `${request.prompt || request.task || 'Picture'} (${n + 1})`, loading: 'lazy' })
			)
		)
	)
