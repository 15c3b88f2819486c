import { type Darkroom, DarkroomError } from '../../../shared/client.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { inShort } from '../../../shared/duration.ts'
import { attempt, reasonOf } from '../attempt.ts'
import { money, nameOf } from '../format.ts'
import { find, h } from '../h.ts'
import { insist } from '../insist.ts'

const states: Record<Generation['status'], string> = {
	queued: 'Queued',
	processing: 'Developing',
	succeeded: 'Done',
	failed: 'It failed',
	canceled: 'Canceled',
	expired: 'Too late'
}

/** Of the page, in which a picture tells how far it is to whoever looks at something else meanwhile. */
const { title } = document
/** Milliseconds after which a server that cannot be reached is asked again. */
const pause = 2_000

export const isUnderWay = ({ status }: Generation): boolean => status === 'queued' || status === 'processing'

/**
 * Shows a generation on the stage from its acceptance to its end, above those that are under way there. `hang` is given what has pictures then, and
 * gives a way to look at it, and at one of its pictures.
 */
export async function develop(
	client: Darkroom,
	accepted: Generation,
	hang: (generation: Generation) => (at?: number) => void
): Promise<void> {
	const { id, request } = accepted
	const state = h('span', { role: 'status' }, states[accepted.status])
	/** What changes with each step: not read out. */
	const detail = h('span')
	/** How it stood when it was heard of last. */
	let known: [text: string, more?: string] = [states[accepted.status]]
	const tell = (...words: typeof known) => {
		known = words
		say(...words)
	}
	let said = states[accepted.status]
	const say = (text: string, more = '') => {
		// What is said already is not said again, in whatever language it is on the page by now.
		if (said !== text) {
			said = text
			state.textContent = text
		}
		detail.textContent = more
	}
	const progress = h('progress', { 'aria-label': 'Steps', max: 1, value: 0 })
	const stop = () => attempt(find('trouble'), async () => void (await client.cancel(id)))
	const notes = h('div', { class: 'notes', role: 'status' })
	const cancel = h('button', { type: 'button', click: () => void stop() }, 'Cancel')
	const frames = Array.from({ length: request.count }, (_, n) =>
		h('div', { class: 'frame' }, h('img', { alt: `Picture ${n + 1} as it develops`, hidden: true }))
	)
	const pictures = h('div', { class: 'tray' }, ...frames)
	pictures.style.setProperty('--aspect', `${request.width} / ${request.height}`)
	pictures.style.setProperty('--across', String(Math.ceil(Math.sqrt(request.count))))
	const card = h(
		'div',
		{ class: 'development', 'data-id': id, tabindex: -1 },
		h('p', { class: 'asked', dir: 'auto' }, nameOf(request)),
		pictures,
		progress,
		h('div', { class: 'row' }, h('div', {}, h('p', {}, state, detail), notes), cancel)
	)
	const stage = find('stage')
	for (const ended of stage.querySelectorAll('.ended')) {
		ended.remove()
	}
	stage.prepend(card)
	stage.scrollIntoView({ block: 'nearest' })

	const show = (n: number, url: string, isFinal = false) => {
		const image = frames[n]?.querySelector('img')
		if (image) {
			image.hidden = false
			image.src = url
			if (isFinal) {
				image.alt = `${nameOf(request)} (${n + 1})`
				insist(image, id, n, find('said'))
			}
		}
	}
	/** When the first steps were seen, and how many: what is left goes on as fast. */
	let pace: { at: number; done: number } | undefined
	const end = () => {
		card.classList.add('ended')
		document.title = title
		progress.hidden = true
		if (document.activeElement === cancel) {
			card.focus({ preventScroll: true }) // A keyboard goes on from there.
		}
		cancel.hidden = true
		for (const frame of frames) {
			frame.hidden = frame.querySelector('img')!.hidden
		}
	}
	// It goes on without its reader, who hears how it stands once the server can be reached.
	const tellTrouble = (error: unknown) => (error === undefined ? say(...known) : say(reasonOf(error), ' Trying again…'))
	const follow = async (): Promise<void> => {
		for await (const event of client.events(id, undefined, tellTrouble)) {
			switch (event.type) {
				case 'status':
					pace = undefined // Another node begins, from where the one before it was.
					tell(states[event.status])
					break
				case 'queue':
					tell(states.queued, `: ${event.position === 0 ? 'next in line' : `${event.position} ahead`}${about(event.eta)}`)
					break
				case 'progress': {
					pace ??= { at: performance.now(), done: event.done }
					const each = (performance.now() - pace.at) / 1_000 / (event.done - pace.done)
					progress.max = event.total
					progress.value = event.done
					const left = event.done > pace.done ? (event.total - event.done) * each : null
					const part = `${Math.floor((event.done / event.total) * 100)} %`
					tell(states.processing, `: ${part}${about(left)}`)
					document.title = `${part} · Darkroom`
					break
				}
				case 'preview':
					show(event.n, `data:${event.content_type};base64,${event.data}`)
					break
				case 'image':
					show(event.image.n, event.image.url, true)
					break
				case 'end': {
					const { status, error, cost, images, warnings } = event.generation
					const told = error ? `${states[status]}: ${error.detail}` : states[status]
					tell(`${told} · cost ${money(cost.charged)} · seed ${request.seed}`)
					notes.append(...warnings.map(({ detail }) => h('p', {}, detail)))
					if (images.length > 0) {
						const look = hang(event.generation)
						const open = h('button', { type: 'button', click: () => look() }, 'Open')
						cancel.after(open)
						if (document.activeElement === cancel) {
							open.focus({ preventScroll: true })
						}
						for (const [place, { n }] of images.entries()) {
							frames[n]?.addEventListener('click', () => look(place))
						}
					}
					return
				}
			}
		}
		throw new Error('The events ended before the generation')
	}
	try {
		for (;;) {
			try {
				return await follow()
			} catch (error) {
				if (error instanceof DarkroomError && !error.mayPass) {
					tell('Nothing more is known of it.')
					throw error
				}
				await new Promise((resolve) => setTimeout(resolve, pause))
			}
		}
	} finally {
		end()
	}
}

const about = (seconds: number | null) => (seconds === null ? '' : `, about ${inShort(seconds)}`)
