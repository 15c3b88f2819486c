import type { ApiKey } from '../../../shared/contract/account.ts'
import { api } from '../api.ts'
import { attempt } from '../attempt.ts'
import { when } from '../format.ts'
import { find, h } from '../h.ts'
import { table } from './table.ts'

/** The account's keys, to be made and revoked; asked for by the few who have a key that may do that. */
export function offerKeys(): void {
	const form = find('new-key') as HTMLFormElement
	const said = find('keys-said')
	const list = async () => {
		const keys: ApiKey[] = []
		for (let cursor: string | null = ''; cursor !== null; ) {
			const page: { keys: ApiKey[]; next: string | null } = await api(`/v1/keys?limit=500${cursor && `&cursor=${cursor}`}`)
			keys.push(...page.keys)
			cursor = page.next
		}
		const [place, button] = [find('keys'), find('show-keys')]
		if (place.contains(document.activeElement) || document.activeElement === button) {
			place.focus() // A keyboard goes on from there.
		}
		place.replaceChildren(table(['Name', 'May', 'Made', 'Last used', 'Until', ''], keys.filter(isValid).map(row)))
		button.hidden = true
		form.hidden = false
	}
	const row = ({ id, name, scopes, created_at, last_used_at, expires_at, revoked_at }: ApiKey): HTMLTableRowElement => {
		const revoke = () =>
			attempt(said, async () => {
				if (confirm(`Revoke the key ${name}, at once and for ever?`)) {
					await api(`/v1/keys/${id}`, { method: 'DELETE' })
					await list()
				}
			})
		const until = [expires_at, revoked_at].filter((time) => time !== null).sort()[0]
		const cells = [name, scopes.join(', '), when(created_at), last_used_at ? when(last_used_at) : '–', until ? when(until) : '–']
		const button = h('button', { type: 'button', 'aria-label': `Revoke ${name}`, click: () => void revoke() }, 'Revoke')
		return h('tr', { 'data-id': id }, ...cells.map((cell) => h('td', {}, cell)), h('td', { class: 'short' }, button))
	}
	find('show-keys').addEventListener('click', () => void attempt(said, list))
	form.addEventListener('submit', (event) => {
		event.preventDefault()
		void attempt(said, async () => {
			const given = new FormData(form)
			const until = given.get('until')
			const body = {
				name: given.get('name'),
				scopes: given.getAll('scope'),
				// Without a zone it is a time of the place where the page is looked at.
				expires_at: until ? new Date(`${until}T23:59:59`).toISOString() : null
			}
			const { key } = await api<{ key: string }>('/v1/keys', { method: 'POST', body })
			form.reset()
			await list()
			said.replaceChildren('The new key, which is not shown again: ', h('code', {}, key))
		})
	})
}

const isValid = ({ expires_at, revoked_at }: ApiKey): boolean =>
	[expires_at, revoked_at].every((time) => time === null || Date.parse(time) > Date.now())
