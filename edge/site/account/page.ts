import './page.css'
import type { AccountView, Usage } from '../../../shared/contract/account.ts'
import type { Archive } from '../../../shared/contract/archive.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import type { Delivery } from '../../../shared/contract/webhooks.ts'
import { timeOf } from '../../../shared/ids.ts'
import { api } from '../api.ts'
import { attempt } from '../attempt.ts'
import { count, day, money, nameOf, when } from '../format.ts'
import { find, h } from '../h.ts'
import { signIn } from '../sign-in.ts'
import { thumbnail } from '../thumbnail.ts'
import { chart } from './chart.ts'
import { offerKeys } from './keys.ts'
import { table } from './table.ts'

const days = 30

signIn(async () => {
	offerKeys() // Its button is there already.
	const today = new Date().toISOString().slice(0, 10)
	// Of its own, for a month may have a day more than the usual ones.
	const ofMonth = `/v1/usage?from=${today.slice(0, 7)}-01&to=${today}`
	const [account, { usage }, { usage: monthly }] = await Promise.all([
		api<AccountView>('/v1/account'),
		api<{ usage: Usage[] }>('/v1/usage'),
		api<{ usage: Usage[] }>(ofMonth)
	])
	showFigures(account, usage)
	showChart(usage)
	showSpend(usage)
	showLimits(account, today, monthly)
	await Promise.all([generations(), deliveries(), archives()])
})

function showFigures({ account, balance, plan, in_flight }: AccountView, usage: readonly Usage[]): void {
	const figures: [string, string][] = [
		['Account', account],
		['Plan', plan],
		['Available', money(balance.available)],
		['Held for work in flight', money(balance.held)],
		['In flight', count(in_flight)],
		[`Pictures in ${days} days`, count(sum(usage, 'pictures'))]
	]
	find('figures').replaceChildren(...figures.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
}

function showChart(usage: readonly Usage[]): void {
	const today = Date.now()
	const bars = Array.from({ length: days }, (_, i) => {
		const day = new Date(today - (days - 1 - i) * 86_400_000).toISOString().slice(0, 10)
		return {
			day,
			pictures: sum(
				usage.filter((row) => row.day === day),
				'pictures'
			)
		}
	})
	const isEmpty = bars.every(({ pictures }) => pictures === 0)
	find('chart').replaceChildren(...(isEmpty ? [h('p', { class: 'faint' }, 'Nothing yet.')] : chart(bars)))
}

function showSpend(usage: readonly Usage[]): void {
	const row = (name: string, of: readonly Usage[]) =>
		h('tr', {}, h('td', {}, name), number(count(sum(of, 'pictures'))), number(money(sum(of, 'amount'))))
	const models = [...new Set(usage.map(({ model }) => model))]
	const rows = models.map((model) =>
		row(
			model,
			usage.filter((one) => one.model === model)
		)
	)
	const all = models.length > 1 ? [row('all', usage)] : []
	find('spend').replaceChildren(
		rows.length > 0 ? table(['Model', 'Pictures', 'Spent'], [...rows, ...all], 1) : h('p', { class: 'faint' }, 'Nothing yet.')
	)
}

/** `monthly`: of the month up to `today`. What is held counts as spent, for it may be. */
function showLimits({ limits, retention_days, in_flight, balance }: AccountView, today: string, monthly: readonly Usage[]): void {
	const spent = (usage: readonly Usage[]) => money(sum(usage, 'amount') + balance.held)
	const daily = monthly.filter(({ day }) => day === today)
	const amount = (limit: number | null) => (limit === null ? 'none' : money(limit))
	const most = (limit: number | null) => (limit === null ? 'none' : count(limit))
	const rows: [name: string, used: string, limit: string][] = [
		['orders a minute', '', most(limits.requests_per_minute)],
		['pictures in flight', count(in_flight), most(limits.pictures_in_flight)],
		['spending a day', spent(daily), amount(limits.spend_per_day)],
		['spending a month', spent(monthly), amount(limits.spend_per_month)],
		['days that pictures are kept', '', count(retention_days)]
	]
	const cells = rows.map(([name, used, limit]) => h('tr', {}, h('td', {}, name), number(used), number(limit)))
	find('limits').replaceChildren(table(['Limit', 'Now', 'At most'], cells, 1))
}

const sum = (usage: readonly Usage[], field: 'pictures' | 'amount') => usage.reduce((all, row) => all + row[field], 0)
const number = (text: string) => h('td', { class: 'number' }, text)

async function generations(cursor?: string): Promise<void> {
	const page = await api<{ generations: Generation[]; next: string | null }>(`/v1/generations?limit=12${after(cursor)}`)
	const list = find('generations')
	list.append(...page.generations.map(card))
	if (list.childElementCount === 0) {
		list.append(h('p', { class: 'faint' }, 'None yet.'))
	}
	offerMore('more-generations', page.next, generations)
}

function card(generation: Generation): HTMLElement {
	const { id, status, request, images, error, created_at } = generation
	const [first] = images
	const picture = first ? h('a', { href: first.url }, thumbnail(generation, find('fault'))) : h('div', { class: 'blank' }, status)
	const more = images.length > 1 ? ` · ${images.length} pictures` : ''
	return h(
		'article',
		{ 'data-id': id },
		picture,
		h('p', { title: nameOf(request), dir: 'auto' }, nameOf(request)),
		error ? h('span', { class: 'bad' }, error.detail) : undefined,
		h('span', { class: 'faint' }, `${when(created_at)}${more}`)
	)
}

async function deliveries(cursor?: string): Promise<void> {
	const page = await api<{ deliveries: Delivery[]; next: string | null }>(`/v1/webhooks/deliveries?limit=10${after(cursor)}`)
	addRows('deliveries', ['Event', 'Receiver', 'Status', 'Attempts', 'At', ''], page.deliveries.map(deliveryRow))
	offerMore('more-deliveries', page.next, deliveries)
}

/** Most accounts have none, and are told of none. */
async function archives(cursor?: string): Promise<void> {
	const page = await api<{ archives: Archive[]; next: string | null }>(`/v1/archives?limit=10${after(cursor)}`)
	const rows = page.archives.map(({ first, last, generations, pictures, amounts, url }) =>
		h(
			'tr',
			{},
			h('td', {}, h('a', { href: url }, [...new Set([first, last].map((id) => day(timeOf(id))))].join(' – '))),
			number(count(generations)),
			number(count(pictures)),
			number(money(amounts.capture - amounts.refund))
		)
	)
	addRows('archives', ['File', 'Orders', 'Pictures', 'Spent'], rows, 1)
	find('archive').hidden = rows.length === 0
	offerMore('more-archives', page.next, archives)
}

function deliveryRow(delivery: Delivery): HTMLTableRowElement {
	const { id, type, url, status, attempts, created_at } = delivery
	const last = attempts.at(-1)
	const replay = h('button', { type: 'button', 'aria-label': `Send again ${type} of ${when(created_at)}` }, 'Send again')
	const row = h(
		'tr',
		{ 'data-id': id },
		h('td', {}, type),
		h('td', {}, h('code', {}, url)),
		h('td', { class: status === 'failed' ? 'bad' : status === 'delivered' ? 'good' : 'faint' }, status),
		h('td', { title: last?.error ?? '' }, `${attempts.length}${last ? ` (${last.status ?? 'no answer'})` : ''}`),
		h('td', { class: 'short' }, when(created_at)),
		h('td', { class: 'short' }, replay)
	)
	replay.addEventListener('click', () => {
		replay.disabled = true
		void attempt(find('fault'), async () => {
			await api(`/v1/webhooks/deliveries/${id}/replay`, { method: 'POST' })
			await new Promise((resolve) => setTimeout(resolve, 1_000))
			const fresh = deliveryRow(await api<Delivery>(`/v1/webhooks/deliveries/${id}`))
			row.replaceWith(fresh)
			fresh.querySelector('button')?.focus()
		}).finally(() => {
			replay.disabled = false
		})
	})
	return row
}

/** To the table in the element `id`, which is made where there is none yet. */
function addRows(id: string, heads: string[], rows: HTMLTableRowElement[], numbers?: number): void {
	const body = find(id).querySelector('tbody')
	if (body) {
		body.append(...rows)
	} else {
		find(id).replaceChildren(rows.length > 0 ? table(heads, rows, numbers) : h('p', { class: 'faint' }, 'None yet.'))
	}
}

function offerMore(id: string, next: string | null, load: (cursor: string) => Promise<void>): void {
	const button = find(id) as HTMLButtonElement
	const held = () => button.previousElementSibling!.querySelectorAll<HTMLElement>('a, button')
	button.hidden = next === null
	button.onclick = () => {
		const { length } = held()
		button.disabled = true // Pressed again, it would bring the same ones.
		void attempt(find('fault'), () => load(next as string)).finally(() => {
			button.disabled = false
			// The button may have gone, and with it whoever came there by keyboard.
			;(held()[length] ?? button).focus()
		})
	}
}

const after = (cursor: string | undefined) => (cursor ? `&cursor=${cursor}` : '')
