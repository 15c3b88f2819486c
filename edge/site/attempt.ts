import { DarkroomError } from '../../shared/client.ts'
import { ApiError } from './api.ts'

/** Why something did not work: in the API's own words, where it had any. */
export const reasonOf = (error: unknown): string =>
	error instanceof ApiError || error instanceof DarkroomError ? error.message : 'The server cannot be reached.'

/** Does it, and says in `place` why it did not work. */
export async function attempt(place: HTMLElement, work: () => Promise<void>): Promise<void> {
	place.textContent = ''
	try {
		await work()
	} catch (error) {
		place.textContent = reasonOf(error)
	}
}
