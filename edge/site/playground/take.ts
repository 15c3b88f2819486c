import { find } from '../h.ts'

const choice = 'input[type=file]'

/** A picture that is pasted, or dropped anywhere on the page, is chosen: where it was dropped, or for the first input that takes one. `makeRoom` asks for one. */
export function takePictures(makeRoom: () => void): void {
	const take = (event: Event, files: FileList) => {
		event.preventDefault()
		const inputs = find('inputs')
		if (!inputs.querySelector(choice)) {
			makeRoom()
		}
		const place = (event.target as Element).closest('.picture') ?? inputs
		const input = place.querySelector<HTMLInputElement>(choice)
		if (input) {
			input.files = files
			input.dispatchEvent(new Event('input', { bubbles: true }))
			input.dispatchEvent(new Event('change', { bubbles: true }))
		}
		find('trouble').textContent = input ? '' : 'This model starts from no picture.'
	}
	document.addEventListener('paste', (event) => {
		const { files = undefined, types = [] } = event.clipboardData ?? {}
		// What was copied from a text processor is a text, and a picture of it.
		if (files?.length && !types.includes('text/plain')) {
			take(event, files)
		}
	})
	// Whatever else a browser would open in place of the page.
	document.addEventListener('dragover', (event) => {
		if (event.dataTransfer?.types.includes('Files')) {
			event.preventDefault()
		}
	})
	document.addEventListener('drop', (event) => {
		if (event.dataTransfer?.files.length) {
			take(event, event.dataTransfer.files)
		}
	})
}
