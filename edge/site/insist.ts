import { DarkroomError } from '../../shared/call.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { api } from './api.ts'
import { reasonOf } from './attempt.ts'

/** Milliseconds between two tries, at most. */
const longest = 30_000

/**
 * Where the picture `n` of a generation does not come, its image asks for it again, until it is there or the image has gone: its URL may have expired, or
 * the line be down. Says in `place` why it has none.
 */
export function insist(image: HTMLImageElement, id: string, n: number, place: HTMLElement): void {
	let pause = 0
	const ask = async () => {
		const { images } = await api<Generation>(`/v1/generations/${id}`)
		const picture = images.find((one) => one.n === n)
		if (picture) {
			image.src = picture.url
			image.closest('a')?.setAttribute('href', picture.url)
		}
	}
	image.onerror = async () => {
		for (let mayPass = true; mayPass; ) {
			await new Promise((resolve) => setTimeout(resolve, pause))
			pause = Math.min(2 * pause + 1_000, longest)
			if (!image.isConnected) {
				return
			}
			try {
				await ask()
				place.textContent = ''
				return
			} catch (error) {
				place.textContent = reasonOf(error)
				mayPass = !(error instanceof DarkroomError) || error.mayPass
			}
		}
	}
}
