import type { Model } from '../../../shared/catalog.ts'
import type { Darkroom } from '../../../shared/client.ts'
import type { Generation, GenerationRequest } from '../../../shared/contract/generation.ts'
import { attempt } from '../attempt.ts'
import { money, nameOf, when } from '../format.ts'
import { find, h } from '../h.ts'
import { thumbnail } from '../thumbnail.ts'
import { recipes } from './copy.ts'

const button = (text: string, click: () => void) => h('button', { type: 'button', click }, text)

/**
 * The account's generations, newest first: a contact sheet, of which each opens with the whole request and what can be done with it. `begin` puts
 * a request into the form.
 */
export function hangGallery(client: Darkroom, models: readonly Model[], begin: (request: Partial<GenerationRequest>) => void) {
	const gallery = find('gallery')
	const more = find('more') as HTMLButtonElement
	const detail = find('detail') as HTMLDialogElement
	let next: string | null | undefined

	/** The newest, or those after the last ones. The first of them, whatever became of it. */
	const show = async () => {
		try {
			const page = await client.generations(next ?? undefined)
			next = page.next
			for (const generation of page.generations.filter(({ images }) => images.length > 0)) {
				hang(generation, (article) => gallery.append(article))
			}
			find('nothing').hidden = gallery.childElementCount > 0
			return page.generations[0]
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
	const look = (id: string) => void attempt(find('said'), async () => open(await client.generation(id)))
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
			h('p', {}, nameOf(request))
		)
	}
	const open = (generation: Generation) => {
		const { id, request, images, cost, created_at, metrics, warnings } = generation
		const said = h('p', { class: 'faint', role: 'status' })
		const text = h('pre', { tabindex: 0 }, JSON.stringify(request, null, 2))
		const whole = h('details', {}, h('summary', {}, 'The whole request'), text)
		const copy = async (name: string) => {
			const recipe = recipes[name]!(request, location.origin)
			try {
				await navigator.clipboard.writeText(recipe)
				said.textContent = `Copied for ${name}.`
			} catch {
				// Browsers let only pages copy that came over TLS or from this machine.
				said.textContent = `To be copied by hand, for ${name}:`
				text.textContent = recipe
				whole.open = true
			}
		}
		const remove = () =>
			attempt(said, async () => {
				if (!confirm('Delete the pictures and what was asked for, for good?')) {
					return
				}
				await client.remove(id)
				for (const shown of document.querySelectorAll(`[data-id="${id}"]`)) {
					shown.remove()
				}
				find('nothing').hidden = gallery.childElementCount > 0
				detail.close()
				find('said').textContent = 'Deleted.'
			})
		const use = (fields: Partial<GenerationRequest>) => {
			detail.close()
			begin(fields)
		}
		const facts: [string, string | number][] = [
			['Model', request.model],
			['Size', `${request.width} × ${request.height}`],
			['Steps', request.steps],
			['Seed', request.seed],
			['Cost', money(cost.charged)],
			...(metrics ? ([['Drawn in', `${(metrics.inference_ms / 1_000).toFixed(2)} s`]] as [string, string][]) : []),
			['Asked for', when(created_at)]
		]
		const starts = (['image-to-image', 'inpainting', 'super-resolution'] as const).flatMap((task) => {
			const able = models.find(({ id, tasks }) => id === request.model && tasks[task]) ?? models.find(({ tasks }) => tasks[task])
			const start = () => use({ model: able!.id, task, prompt: request.prompt, image: images[0]!.url })
			return able
				? [button({ 'image-to-image': 'Vary', inpainting: 'Paint over', 'super-resolution': 'Enlarge' }[task], start)]
				: []
		})
		detail.replaceChildren(
			h('form', { method: 'dialog' }, h('button', { 'aria-label': 'Close' }, '×')),
			picturesOf(generation),
			h('p', { class: 'caption' }, nameOf(request)),
			h('dl', {}, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
			...warnings.map(({ detail }) => h('p', { class: 'faint' }, detail)),
			h(
				'div',
				{ class: 'row' },
				button('Use again', () => use(request)),
				...starts,
				button('Delete', () => void remove())
			),
			h('div', { class: 'row' }, ...Object.keys(recipes).map((name) => button(`Copy as ${name}`, () => void copy(name)))),
			said,
			whole
		)
		detail.showModal()
	}
	// Whoever clicks beside it is done with it.
	detail.addEventListener('click', (event) => event.target === detail && detail.close())
	more.addEventListener('click', () => void attempt(find('said'), async () => void (await show())))
	return {
		show,
		/** Hangs it first. Gives a way to look at it. */
		add(generation: Generation) {
			hang(generation, (article) => gallery.prepend(article))
			find('nothing').hidden = true
			return () => look(generation.id)
		}
	}
}

function picturesOf({ images, request }: Generation): HTMLElement {
	const links = images.map(({ url, n }) =>
		h(
			'a',
			{ href: url, target: '_blank', rel: 'noopener' },
			h('img', { src: url, alt: `${nameOf(request)} (${n + 1})`, loading: 'lazy' })
		)
	)
	const pictures = h('div', { class: 'tray' }, ...links)
	pictures.style.setProperty('--aspect', `${images[0]?.width ?? 1} / ${images[0]?.height ?? 1}`)
	pictures.style.setProperty('--across', String(Math.ceil(Math.sqrt(images.length))))
	return pictures
}
