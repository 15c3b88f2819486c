import type { Model } from '../../../shared/catalog.ts'
import { type Darkroom, DarkroomError } from '../../../shared/client.ts'
import type { Generation, GenerationRequest, Picture } from '../../../shared/contract/generation.ts'
import { fileOf } from '../api.ts'
import { attempt } from '../attempt.ts'
import { money, nameOf, when } from '../format.ts'
import { find, h } from '../h.ts'
import { recipes } from './copy.ts'
import { dataUrl } from './inputs.ts'

/** Where a generation hangs that is opened. */
interface Wall {
	/** Opens another one, and of its pictures the one `at` this place in the list, from the end where it is negative. */
	look(id: string, at?: number): void
	/** The one before it, or after it. */
	beside(id: string, step: -1 | 1): string | undefined
	takeDown(id: string): void
	/** Puts a request into the form. */
	begin(request: Partial<GenerationRequest>): void
}

const button = (text: string, click: () => void) => h('button', { type: 'button', click }, text)

/** A dialog in which a generation opens with the whole request, and with what can be done with it. */
export function lightbox(client: Darkroom, models: readonly Model[], { look, beside, takeDown, begin }: Wall) {
	const detail = find('detail') as HTMLDialogElement
	const close = () => detail.close()
	// Whoever clicks beside it is done with it.
	detail.addEventListener('click', (event) => event.target === detail && close())
	const use = (fields: Partial<GenerationRequest>) => {
		close()
		begin(fields)
	}

	/** Shows a generation, and of its pictures the one `at` this place in the list, from the end where it is negative. */
	const open = (generation: Generation, at = 0) => {
		const { id, request, images, warnings } = generation
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
				await client.remove(id).catch(unlessGone)
				takeDown(id)
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
			h('dl', {}, ...factsOf(generation, image).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
			...warnings.map(({ detail }) => h('p', { class: 'faint' }, detail)),
			h(
				'div',
				{ class: 'row' },
				button('Use again', () => use(request)),
				...(images.length > 1 ? [button('Only this one', () => use({ ...request, seed: image!.seed, count: 1 }))] : []),
				...(image ? [...startsFrom(generation, image, models, said, use), downloadOf(id, image, said)] : []),
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
	return { open, close }
}

/** It was deleted elsewhere. */
export function unlessGone(error: unknown): void {
	if (!(error instanceof DarkroomError && error.status === 404)) {
		throw error
	}
}

const factsOf = ({ request, cost, created_at, metrics }: Generation, image?: Picture): [string, string | number][] => [
	['Model', request.model],
	['Size', `${request.width} × ${request.height}`],
	['Steps', request.steps],
	['Seed', image?.seed ?? request.seed],
	['Cost', money(cost.charged)],
	...(metrics ? ([['Drawn in', `${(metrics.inference_ms / 1_000).toFixed(2)} s`]] as [string, string][]) : []),
	['Asked for', when(created_at)]
]

/** Storage is elsewhere, where no page may look into a file, or make a browser keep one: this brings it from here. */
const file = (id: string, { n }: Picture) => fileOf(`/v1/generations/${id}/images/${n}`)

function downloadOf(id: string, image: Picture, said: HTMLElement): HTMLElement {
	const download = () =>
		attempt(said, async () => {
			const url = URL.createObjectURL(await file(id, image))
			h('a', { href: url, download: `${id}-${image.n}.${image.content_type.replace('image/', '')}` }).click()
			setTimeout(() => URL.revokeObjectURL(url), 60_000)
		})
	return button('Download', () => void download())
}

const starts = { 'image-to-image': 'Vary', inpainting: 'Paint over', 'super-resolution': 'Enlarge' } as const

/** What a picture can be the start of, by its own model where that can do it. */
function startsFrom(
	{ id, request }: Generation,
	image: Picture,
	models: readonly Model[],
	said: HTMLElement,
	use: (fields: Partial<GenerationRequest>) => void
): HTMLElement[] {
	return (Object.keys(starts) as (keyof typeof starts)[]).flatMap((task) => {
		const able = models.find(({ id, tasks }) => id === request.model && tasks[task]) ?? models.find(({ tasks }) => tasks[task])
		if (!able) {
			return []
		}
		// The picture itself: its URL may have expired by the time that it is asked for.
		const start = () =>
			attempt(said, async () =>
				use({ model: able.id, task, prompt: request.prompt, image: await dataUrl(await file(id, image)) })
			)
		return button(starts[task], () => void start())
	})
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
