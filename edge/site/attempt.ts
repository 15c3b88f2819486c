import { DarkroomError, Unanswered } from '../../shared/call.ts'

/** Something is to be done first, and says what. */
export class Missing extends Error {}

/** Why something did not work: in the API's own words, where it had any. What `fetch` throws is a TypeError. */
export function reasonOf(error: unknown): string {
	return error instanceof DarkroomError || error instanceof Unanswered || error instanceof Missing
		? error.message
		: error instanceof TypeError
			? 'The server cannot be reached.'
			: `Something is wrong with this page: ${error}`
}

/** Does it, and says in `place` why it did not work. */
export async function attempt(place: HTMLElement, work: () => Promise<void>): Promise<void> {
	place.textContent = ''
	try {
		await work()
	} catch (error) {
		place.textContent = reasonOf(error)
	}
}
