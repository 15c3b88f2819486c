import type { Model } from '../../../shared/catalog.ts'
import type { Darkroom } from '../../../shared/client.ts'
import type { Generation, GenerationRequest } from '../../../shared/contract/generation.ts'
import { attempt } from '../attempt.ts'
import { nameOf } from '../format.ts'
import { find, h } from '../h.ts'
import { thumbnail } from '../thumbnail.ts'
import { lightbox, unlessGone } from './lightbox.ts'

/** The account's generations, newest first: a contact sheet, of which each opens. `begin` puts a request into the form. */
export function hangGallery(client: Darkroom, models: readonly Model[], begin: (request: Partial<GenerationRequest>) => void) {
	const gallery = find('gallery')
	const more = find('more') as HTMLButtonElement
	let next: string | null | undefined

	/** The newest, or those after the last ones, whatever became of them. */
	const show = async () => {
		try {
			const page = await client.generations(next ?? undefined)
			next = page.next
			for (const generation of page.generations.filter(({ images }) => images.length > 0)) {
				hang(generation, (article) => gallery.append(article))
			}
			find('nothing').hidden = gallery.childElementCount > 0
			return page.generations
		} finally {
			more.hidden = next === null
		}
	}
	/** Each hangs once, as it was seen last: it may have been there while it was half done. */
	const hang = (generation: Generation, put: (article: HTMLElement) => void) => {
		const before = gallery.querySelector(`[data-id="${generation.id}"]`)
		const article = card(generation)
		before ? before.replaceWith(article) : put(article)
	}
	const takeDown = (id: string) => {
		const neighbour = beside(id, 1) ?? beside(id, -1)
		for (const shown of document.querySelectorAll(`[data-id="${id}"]`)) {
			shown.remove()
		}
		find('nothing').hidden = gallery.childElementCount > 0
		close()
		find('said').textContent = 'Deleted.'
		// A keyboard goes on from there.
		gallery.querySelector<HTMLElement>(`[data-id="${neighbour}"] button`)?.focus({ preventScroll: true })
	}
	const look = (id: string, at?: number) =>
		void attempt(find('said'), async () => {
			const generation = await client.generation(id).catch(unlessGone)
			generation ? open(generation, at) : takeDown(id)
		})
	const card = (generation: Generation): HTMLElement => {
		const { id, request, images } = generation
		return h(
			'article',
			{ 'data-id': id },
			h(
				'button',
				{ type: 'button', click: () => look(id) },
				thumbnail(generation, find('said')),
				images.length > 1 ? h('span', { class: 'number' }, images.length) : undefined
			),
			// The button says so itself to whoever hears it.
			h('p', { dir: 'auto', 'aria-hidden': 'true' }, nameOf(request))
		)
	}
	/** The one before it in the gallery, or after it. */
	const beside = (id: string, step: -1 | 1) => {
		const article = gallery.querySelector(`[data-id="${id}"]`)
		const other = step < 0 ? article?.previousElementSibling : article?.nextElementSibling
		return (other as HTMLElement | null | undefined)?.dataset.id
	}
	const { open, close } = lightbox(client, models, { look, beside, takeDown, begin })
	const showMore = async () => {
		const last = gallery.lastElementChild
		await show()
		// The button may have gone, and with it whoever came there by keyboard.
		last?.nextElementSibling?.querySelector('button')?.focus()
	}
	more.addEventListener('click', () => void attempt(find('said'), showMore))
	return {
		show,
		/** Hangs it first. Gives a way to look at it, and at one of its pictures. */
		add(generation: Generation) {
			hang(generation, (article) => gallery.prepend(article))
			find('nothing').hidden = true
			return (at?: number) => look(generation.id, at)
		}
	}
}
