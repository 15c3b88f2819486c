import type { Model } from '../../../shared/catalog.ts'
import { type Darkroom, DarkroomError } from '../../../shared/client.ts'
import type { Generation, GenerationRequest } from '../../../shared/contract/generation.ts'
import { fileOf } from '../api.ts'
import { attempt } from '../attempt.ts'
import { money, nameOf, when } from '../format.ts'
import { find, h } from '../h.ts'
import { thumbnail } from '../thumbnail.ts'
import { recipes } from './copy.ts'
import { dataUrl } from './inputs.ts'

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
		for (const shown of document.querySelectorAll(`[data-id="${id}"]`)) {
			shown.remove()
		}
		find('nothing').hidden = gallery.childElementCount > 0
		detail.close()
		find('said').textContent = 'Deleted.'
	}
	const look = (id: string, at?: number) =>
		void attempt(find('said'), async () => {
			try {
				open(await client.generation(id), at)
			} catch (error) {
				if (!(error instanceof DarkroomError && error.status === 404)) {
					throw error
				}
				takeDown(id) // It was deleted elsewhere.
			}
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
			h('p', { dir: 'auto' }, nameOf(request))
		)
	}
	/** The one before it in the gallery, or after it. */
	const beside = (id: string, step: -1 | 1) => {
		const article = gallery.querySelector(`[data-id="${id}"]`)
		const other = step < 0 ? article?.previousElementSibling : article?.nextElementSibling
		return (other as HTMLElement | null | undefined)?.dataset.id
	}
	/** Shows a generation, and of its pictures the one `at` this place in the list, from the end where it is negative. */
	const open = (generation: Generation, at = 0) => {
		const { id, request, images, cost, created_at, metrics, warnings } = generation
		const image = images.at(at)
		const place = image ? images.indexOf(image) : 0
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
				takeDown(id)
			})
		/** Storage is elsewhere, where no page may look into a file, or make a browser keep one: this brings it from here. */
		const file = () => fileOf(`/v1/generations/${id}/images/${image!.n}`)
		const download = () =>
			attempt(said, async () => {
				const url = URL.createObjectURL(await file())
				h('a', { href: url, download: `${id}-${image!.n}.${image!.content_type.replace('image/', '')}` }).click()
				setTimeout(() => URL.revokeObjectURL(url), 60_000)
			})
		const use = (fields: Partial<GenerationRequest>) => {
			detail.close()
			begin(fields)
		}
		const facts: [string, string | number][] = [
			['Model', request.model],
			['Size', `${request.width} × ${request.height}`],
			['Steps', request.steps],
			['Seed', image?.seed ?? request.seed],
			['Cost', money(cost.charged)],
			...(metrics ? ([['Drawn in', `${(metrics.inference_ms / 1_000).toFixed(2)} s`]] as [string, string][]) : []),
			['Asked for', when(created_at)]
		]
		const starts = (['image-to-image', 'inpainting', 'super-resolution'] as const).flatMap((task) => {
			const able = models.find(({ id, tasks }) => id === request.model && tasks[task]) ?? models.find(({ tasks }) => tasks[task])
			// The picture itself: its URL may have expired by the time that it is asked for.
			const start = () =>
				attempt(said, async () => use({ model: able!.id, task, prompt: request.prompt, image: await dataUrl(await file()) }))
			return able && image
				? [
						button(
							{ 'image-to-image': 'Vary', inpainting: 'Paint over', 'super-resolution': 'Enlarge' }[task],
							() => void start()
						)
					]
				: []
		})
		/** To the next picture, of this generation or of the one beside it. */
		const turn = (step: -1 | 1) => {
			const to = place + step
			const other = beside(id, step)
			return images[to] ? () => open(generation, to) : other ? () => look(other, step < 0 ? -1 : 0) : undefined
		}
		const arrow = (name: string, sign: string, step: -1 | 1) => {
			const go = turn(step)
			return h('button', { type: 'button', class: 'turn', 'aria-label': name, disabled: !go, click: go }, sign)
		}
		detail.onkeydown = ({ key, target }) => {
			// What is wider than its place goes to the side by the same keys.
			const step = target === text ? 0 : key === 'ArrowLeft' ? -1 : key === 'ArrowRight' ? 1 : 0
			if (step) {
				turn(step)?.()
			}
		}
		/** Where the keyboard was: what takes its place is held in its stead. */
		const held = document.activeElement?.getAttribute('aria-label')
		detail.replaceChildren(
			h('form', { method: 'dialog' }, h('button', { 'aria-label': 'Close' }, '×')),
			h('div', { class: 'lightbox' }, arrow('Before', '‹', -1), pictureOf(generation, place), arrow('After', '›', 1)),
			...(images.length > 1 ? [stripOf(generation, place, (to) => open(generation, to))] : []),
			h('p', { class: 'caption', dir: 'auto' }, nameOf(request)),
			h('dl', {}, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
			...warnings.map(({ detail }) => h('p', { class: 'faint' }, detail)),
			h(
				'div',
				{ class: 'row' },
				button('Use again', () => use(request)),
				...(images.length > 1 ? [button('Only this one', () => use({ ...request, seed: image!.seed, count: 1 }))] : []),
				...starts,
				...(image ? [button('Download', () => void download())] : []),
				button('Delete', () => void remove())
			),
			h('div', { class: 'row' }, ...Object.keys(recipes).map((name) => button(`Copy as ${name}`, () => void copy(name)))),
			said,
			whole
		)
		if (detail.open) {
			const same = detail.querySelector<HTMLElement>(`[aria-label="${held}"]:enabled`)
			;(same ?? detail.querySelector<HTMLElement>('.lightbox a, button'))?.focus()
		} else {
			detail.showModal()
		}
	}
	// Whoever clicks beside it is done with it.
	detail.addEventListener('click', (event) => event.target === detail && detail.close())
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

function pictureOf({ images, request }: Generation, place: number): HTMLElement {
	const image = images[place]
	return image
		? h(
				'a',
				{ href: image.url, target: '_blank', rel: 'noopener' },
				h('img', { src: image.url, alt: `${nameOf(request)} (${place + 1})`, width: image.width, height: image.height })
			)
		: h('p', { class: 'faint' }, 'Its pictures are gone.')
}

/** All pictures of a generation, small, to choose one. */
function stripOf({ images }: Generation, place: number, choose: (place: number) => void): HTMLElement {
	const buttons = images.map(({ url, n }, i) =>
		h(
			'button',
			{
				type: 'button',
				'aria-label': `Picture ${n + 1}`,
				'aria-current': i === place ? 'true' : undefined,
				click: () => choose(i)
			},
			h('img', { src: url, alt: '' })
		)
	)
	return h('div', { class: 'strip' }, ...buttons)
}
