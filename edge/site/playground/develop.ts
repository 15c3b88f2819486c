import type { Darkroom } from '../../../shared/client.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { find, h } from '../h.ts'

const states: Record<Generation['status'], string> = {
	queued: 'Queued',
	processing: 'Developing',
	succeeded: 'Done',
	failed: 'It failed',
	canceled: 'Canceled',
	expired: 'Too late'
}

/** Shows a generation on the stage from its acceptance to its end. */
export async function develop(client: Darkroom, accepted: Generation): Promise<Generation> {
	const { id, request } = accepted
	const state = h('p', { role: 'status', class: 'state' }, states[accepted.status])
	const progress = h('progress', { 'aria-label': 'Steps', max: 1, value: 0 })
	const cancel = h('button', { type: 'button', click: () => void client.cancel(id) }, 'Cancel')
	const frames = Array.from({ length: request.count }, (_, n) =>
		h('img', { class: 'frame', alt: `Picture ${n + 1} as it develops`, hidden: true })
	)
	const pictures = h('div', { class: 'pictures' }, ...frames)
	pictures.style.setProperty('--aspect', `${request.width} / ${request.height}`)
	const card = h('div', { id: 'development' }, state, progress, pictures, cancel)
	find('idle').hidden = true
	document.getElementById('development')?.remove()
	find('stage').append(card)

	const show = (n: number, url: string, isFinal = false) => {
		const frame = frames[n]
		if (frame) {
			frame.hidden = false
			frame.src = url
			frame.alt = isFinal ? `${request.prompt || 'Picture'} (${n + 1})` : frame.alt
		}
	}
	for await (const event of client.events(id)) {
		switch (event.type) {
			case 'status':
				state.textContent = states[event.status]
				break
			case 'progress':
				progress.max = event.total
				progress.value = event.done
				state.textContent = `${states.processing}: ${Math.floor((event.done / event.total) * 100)} %`
				break
			case 'preview':
				show(event.n, `data:${event.content_type};base64,${event.data}`)
				break
			case 'image':
				show(event.image.n, event.image.url, true)
				break
			case 'end': {
				const { status, error } = event.generation
				state.textContent = error ? `${states[status]}: ${error.detail}` : states[status]
				progress.hidden = true
				cancel.hidden = true
				return event.generation
			}
		}
	}
	throw new Error('The events ended before the generation')
}
