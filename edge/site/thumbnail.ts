import type { Generation } from '../../shared/contract/generation.ts'
import { nameOf } from './format.ts'
import { h } from './h.ts'
import { insist } from './insist.ts'

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

/** The first picture of a generation, loaded when it comes into view. Says in `place` why it has none. */
export function thumbnail({ id, request, images }: Generation, place: HTMLElement): HTMLImageElement {
	const image = h('img', { decoding: 'async', alt: nameOf(request) })
	const [first] = images
	insist(image, id, first!.n, place)
	unseen.set(image, first!.url)
	observer.observe(image)
	return image
}
