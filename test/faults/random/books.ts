import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountView, LedgerEntry } from '../../../shared/contract/account.ts'
import { type Generation, isTerminal } from '../../../shared/contract/generation.ts'
import type { Delivery } from '../../../shared/contract/webhooks.ts'
import { type Accepted, type Customer, lookOf } from './customer.ts'
import type { House } from './house.ts'
import type { Letter } from './receiver.ts'

/** Seconds in which whatever waits (a lease, a rest between attempts, a delivery that was lost with the edge) comes round. */
const patience = 300

/** Lets everything run to rest, and tells what was promised and is not so. */
export async function violations(
	house: House,
	customer: Customer,
	account: string,
	letters: readonly Letter[]
): Promise<string[]> {
	const found: string[] = []
	const expect = (isSo: unknown, what: string) => {
		if (!isSo) {
			found.push(what)
		}
	}
	for (const refusal of customer.refusals) {
		expect(false, `an order was refused: ${refusal}`)
	}
	const generations = await atRest(customer, expect)
	const byId = new Map(generations.map((generation) => [generation.id, generation]))
	for (const known of customer.accepted) {
		const { id, ids, isDeleted, ends } = known
		const generation = byId.get(id)
		expect(ids.size === 1, `${id}: its repetitions became ${[...ids]}`)
		expect(Boolean(generation) !== isDeleted, `${id}: ${isDeleted ? 'deleted, and there' : 'accepted, and lost'}`)
		if (generation) {
			ends.add(generation.status)
			expect(ends.size === 1, `${id}: ended as ${[...ends]}`)
			checkEnd(known, generation, expect)
			await checkPictures(known, generation, expect)
		}
	}
	await checkLetters(customer, generations, letters, expect)
	await checkMoney(house, customer, account, generations, expect)
	for (const { id, gone } of customer.accepted) {
		for (const url of gone) {
			const { status } = await fetch(url)
			expect(status === 404, `${id}: deleted, but its picture is there (${status})`)
		}
	}
	return found
}

type Expect = (isSo: unknown, what: string) => void

async function atRest(customer: Customer, expect: Expect): Promise<Generation[]> {
	for (const until = Date.now() + patience * 1_000; ; await sleep(1_000)) {
		const generations = await customer.all<Generation>('/v1/generations', 'generations')
		const open = generations.filter(({ status }) => !isTerminal(status))
		if (open.length === 0 || Date.now() > until) {
			for (const { id, status } of open) {
				expect(false, `${id}: ${status} after ${patience} s of rest`)
			}
			return generations
		}
	}
}

function checkEnd({ id, isTimed, isCanceled, count }: Accepted, { status, images, error }: Generation, expect: Expect): void {
	const possible = ['succeeded', ...(isTimed ? ['expired'] : []), ...(isCanceled ? ['canceled'] : [])]
	expect(possible.includes(status), `${id}: ${status} (${error?.detail}), which nobody asked for`)
	expect(status !== 'succeeded' || images.length === count, `${id}: succeeded with ${images.length} of ${count} pictures`)
}

async function checkPictures({ id, sample }: Accepted, { images }: Generation, expect: Expect): Promise<void> {
	expect(new Set(images.map(({ n }) => n)).size === images.length, `${id}: a picture is there twice`)
	for (const { n, url, size } of images) {
		const answer = await fetch(url)
		const bytes = new Uint8Array(await answer.arrayBuffer())
		const isWhole = answer.ok && bytes.length === size
		expect(isWhole, `${id}: picture ${n} is ${answer.status} with ${bytes.length} of ${size} bytes`)
		const isSame = !isWhole || (await lookOf(bytes)) === sample.pictures[n]
		expect(isSame, `${id}: picture ${n} is not what it is in peace (${JSON.stringify({ ...sample.order, image: undefined })})`)
	}
}

/** Each event is one message, and every message arrives; those that wait for their next attempt are asked for now. */
async function checkLetters(
	customer: Customer,
	generations: Generation[],
	letters: readonly Letter[],
	expect: Expect
): Promise<void> {
	const told = new Set(customer.accepted.filter(({ isTold }) => isTold).map(({ id }) => id))
	const expected = generations.flatMap(({ id, status, started_at, images }) => {
		const events = [
			...(started_at ? [{ type: 'started', n: undefined }] : []),
			...images.map(({ n }) => ({ type: 'image', n })),
			{ type: status === 'succeeded' ? 'completed' : status, n: undefined }
		]
		return (told.has(id) ? ['/all', '/own'] : ['/all']).flatMap((path) =>
			events.map(({ type, n }) => ({ path, id, type: `generation.${type}`, n }))
		)
	})
	const of = ({ path, id, type, n }: (typeof expected)[number]) =>
		letters.filter((letter) => letter.path === path && letter.generation === id && letter.type === type && letter.n === n)
	const missing = () => expected.filter((event) => !of(event).some(({ isAnswered }) => isAnswered))
	for (let second = 0; second < 60 && missing().length > 0; second++) {
		await sleep(1_000)
	}
	const pending = (await customer.all<Delivery>('/v1/webhooks/deliveries', 'deliveries')).filter(
		({ status }) => status === 'pending'
	)
	for (const { id } of pending) {
		await customer.ask('POST', `/v1/webhooks/deliveries/${id}/replay`)
	}
	for (let second = 0; second < 70 && missing().length > 0; second++) {
		await sleep(1_000)
	}
	for (const { path, id, type, n } of missing()) {
		expect(false, `${id}: ${type} ${n ?? ''} never arrived at ${path}`)
	}
	for (const event of expected) {
		const ids = new Set(of(event).map(({ id }) => id))
		expect(ids.size <= 1, `${event.id}: ${event.type} came as ${[...ids]}`)
	}
	const endings = /completed|failed|canceled|expired/
	for (const { id } of customer.accepted) {
		const ends = new Set(
			letters
				.filter(({ generation, type, path }) => generation === id && path === '/all' && endings.test(type))
				.map(({ id }) => id)
		)
		expect(ends.size === 1, `${id}: ${ends.size} messages of an end`)
	}
}

async function checkMoney(
	house: House,
	customer: Customer,
	account: string,
	generations: Generation[],
	expect: Expect
): Promise<void> {
	for (let cursor: string | null = ''; cursor !== null; ) {
		const path = `${account}/audit${cursor && `?cursor=${cursor}`}`
		const page: { differences: string[]; next: string | null } = await house.admin('POST', path)
		for (const difference of page.differences) {
			expect(false, `audit: ${difference}`)
		}
		cursor = page.next
	}
	const { balance, in_flight } = (await customer.ask('GET', '/v1/account')).body as AccountView
	const entries = await customer.all<LedgerEntry>('/v1/ledger', 'entries')
	const sum = (kind: LedgerEntry['kind'], id?: string) =>
		entries
			.filter((entry) => entry.kind === kind && (id === undefined || entry.generation === id))
			.reduce((sum, { amount }) => sum + amount, 0)
	expect(balance.held === 0 && in_flight === 0, `at rest ${balance.held} are held, and ${in_flight} pictures in flight`)
	expect(balance.charged === sum('capture'), `${balance.charged} charged, but the ledger says ${sum('capture')}`)
	expect(
		balance.available === sum('credit') - sum('capture'),
		`${balance.available} of ${sum('credit')} available after ${sum('capture')}`
	)
	for (const { id, images, cost } of generations) {
		const captured = entries
			.filter(({ kind, generation }) => kind === 'capture' && generation === id)
			.map(({ picture }) => picture)
		const seen = images.map(({ n }) => n)
		expect(captured.toSorted().join() === seen.toSorted().join(), `${id}: pictures ${seen} are there, ${captured} are charged`)
		expect(
			sum('hold', id) === sum('capture', id) + sum('release', id),
			`${id}: its hold was not given back (${JSON.stringify(cost)})`
		)
	}
}
