import type { Generation } from '../../shared/contract/generation.ts'
import { api } from './api.ts'
import { attempt } from './attempt.ts'
import { nameOf } from './format.ts'
import { h } from './h.ts'

/**
 * The first picture of a generation. URLs expire, and what is further down is loaded when it comes into view: it then asks for another, once, and
 * says in `place` why it has none.
 */
export function thumbnail({ id, request, images }: Generation, place: HTMLElement): HTMLImageElement {
	// Firefox begins to load where it is told of the address first.
	const image = h('img', { loading: 'lazy', decoding: 'async', src: images[0]!.url, alt: nameOf(request) })
	const renew = async () => {
		const fresh = await api<Generation>(`/v1/generations/${id}`)
		image.src = fresh.images[0]?.url ?? ''
		image.closest('a')?.setAttribute('href', image.src)
	}
	image.addEventListener('error', () => void attempt(place, renew), { once: true })
	return image
}
