import type { Generation } from '../../shared/contract/generation.ts'
import { api } from './api.ts'
import { attempt } from './attempt.ts'
import { nameOf } from './format.ts'
import { h } from './h.ts'

/** What is yet to be seen, and where it is. Pictures are large, and browsers with lazy loading of their own load those of a whole screen further down. */
const unseen = new WeakMap<Element, string>()
const observer = new IntersectionObserver(
	(entries) => {
		for (const { target, isIntersecting } of entries) {
			if (isIntersecting) {
				observer.unobserve(target)
				;(target as HTMLImageElement).src = unseen.get(target)!
			}
		}
	},
	{ rootMargin: '100px' }
)

/**
 * The first picture of a generation, loaded when it comes into view. URLs expire meanwhile: it then asks for another, once, and says in `place` why it
 * has none.
 */
export function thumbnail({ id, request, images }: Generation, place: HTMLElement): HTMLImageElement {
	const image = h('img', { decoding: 'async', alt: nameOf(request) })
	const renew = async () => {
		const fresh = await api<Generation>(`/v1/generations/${id}`)
		image.src = fresh.images[0]?.url ?? ''
		image.closest('a')?.setAttribute('href', image.src)
	}
	image.addEventListener('error', () => void attempt(place, renew), { once: true })
	unseen.set(image, images[0]!.url)
	observer.observe(image)
	return image
}
