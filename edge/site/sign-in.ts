import { DarkroomError } from '../../shared/call.ts'
import { api, key } from './api.ts'
import { attempt, reasonOf } from './attempt.ts'
import { find } from './h.ts'

/**
 * Asks for a key where this session has none, and shows the page's `#content` once the API has accepted it: `enter` then fills it.
 * The page has a form `#sign-in` with a field named `key` and a line `#refusal`, a button `#sign-out`, and a line `#fault` for what else goes wrong.
 */
export function signIn(enter: () => Promise<void>): void {
	const form = find('sign-in') as HTMLFormElement
	const field = form.elements.namedItem('key') as HTMLInputElement
	const button = form.querySelector('button')!
	const show = (isIn: boolean) => {
		const wasAsked = !form.hidden
		form.hidden = isIn
		find('content').hidden = !isIn
		find('sign-out').hidden = !isIn
		field.value = isIn ? '' : (key.get() ?? '') // What may be good is not typed again.
		if (isIn && wasAsked) {
			form.closest('main')!.focus() // What held the keyboard is gone.
		}
		field.focus() // Where it is shown: there is nothing else to do.
	}
	const open = async () => {
		find('refusal').textContent = ''
		// Whoever came in twice would do everything twice.
		button.disabled = true
		try {
			await api('/v1/account')
		} catch (error) {
			// What is down for a moment says nothing about the key.
			if (error instanceof DarkroomError && [401, 403].includes(error.status)) {
				key.forget()
			}
			button.disabled = false
			show(false)
			find('refusal').textContent = reasonOf(error)
			return
		}
		show(true)
		await attempt(find('fault'), enter)
	}
	form.addEventListener('submit', (event) => {
		event.preventDefault()
		key.set(field.value.trim())
		void open()
	})
	find('sign-out').addEventListener('click', () => {
		sessionStorage.clear()
		location.reload()
	})
	// A browser that goes back shows a page as it was left: with a key that was forgotten since, or is another by now.
	let left = key.get()
	addEventListener('pagehide', () => {
		left = key.get()
	})
	addEventListener('pageshow', ({ persisted }) => persisted && left !== key.get() && location.reload())
	if (key.get()) {
		void open()
	} else {
		show(false)
	}
}
