import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { Darkroom } from '../../../shared/client.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import type { GenerationOrder } from '../../../shared/contract/order.ts'
import { EventName } from '../../../shared/contract/webhooks.ts'
import { between, type Chance, happens, oneOf } from './chance.ts'

/** Orders of which it is known what they look like. */
export interface Sample {
	order: GenerationOrder
	/** `lookOf` each of its pictures. */
	pictures: string[]
}

/** SHA-256 of a picture's pixels. Its file also says what it was made from, which each order stores under a name of its own. */
export async function lookOf(file: Uint8Array): Promise<string> {
	return createHash('sha256')
		.update(await sharp(file).raw().toBuffer())
		.digest('hex')
}

/** What a customer knows of an order that was accepted. */
export interface Accepted {
	id: string
	sample: Sample
	count: number
	/** Its own webhook is called. */
	isTold: boolean
	/** It may expire, or be canceled. */
	isTimed: boolean
	isCanceled: boolean
	isDeleted: boolean
	/** Where its pictures were when it was deleted. */
	gone: string[]
	/** Every end that was heard of. */
	ends: Set<string>
	/** Every id that it was accepted under. */
	ids: Set<string>
}

export interface Answer {
	status: number
	body: unknown
}

/** Speaks to the edge as an account does that wants to know. */
export class Customer {
	readonly url: string
	readonly key: string
	readonly accepted: Accepted[] = []
	/** Every answer to an order that it was not to get. */
	readonly refusals: string[] = []

	constructor(url: string, key: string) {
		this.url = url
		this.key = key
	}

	/** Asks until there is an answer that says something. */
	async ask(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
		for (;;) {
			const answer = await this.try(method, path, body, headers)
			if (answer && answer.status < 500 && answer.status !== 429) {
				return answer
			}
			await sleep(500)
		}
	}

	/** Asks once. */
	async try(method: string, path: string, body?: object, more: Record<string, string> = {}): Promise<Answer | undefined> {
		const headers = { ...more, authorization: `Bearer ${this.key}`, ...(body && { 'content-type': 'application/json' }) }
		try {
			const answer = await fetch(`${this.url}${path}`, {
				method,
				headers,
				...(body && { body: JSON.stringify(body) }),
				signal: AbortSignal.timeout(30_000)
			})
			const text = await answer.text()
			return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
		} catch {
			return undefined
		}
	}

	/** Every page of a list. */
	async all<T>(path: string, name: string): Promise<T[]> {
		const all: T[] = []
		for (let cursor: unknown = null; ; ) {
			const { body } = await this.ask('GET', `${path}?limit=100${cursor === null ? '' : `&cursor=${cursor}`}`)
			const page = body as Record<string, unknown>
			all.push(...(page[name] as T[]))
			cursor = page.next
			if (cursor === null) {
				return all
			}
		}
	}

	/** Draws every sample in peace. */
	async sample(orders: readonly GenerationOrder[]): Promise<Sample[]> {
		return Promise.all(
			orders.map(async (order) => {
				const { body } = await this.ask('POST', '/v1/generations', order)
				const ended = await this.#ended((body as Generation).id)
				if (ended.status !== 'succeeded') {
					throw new Error(`expected a sample of ${JSON.stringify(order)}, got ${JSON.stringify(body)}`)
				}
				return { order, pictures: await Promise.all(ended.images.map(async ({ url }) => lookOf(await bytesOf(url)))) }
			})
		)
	}

	async #ended(id: string): Promise<Generation> {
		for (;;) {
			const { body } = await this.ask('GET', `/v1/generations/${id}`, undefined, { prefer: 'wait=10' })
			if ((body as Generation).completed_at) {
				return body as Generation
			}
		}
	}

	/** One order, and what comes to the customer's mind about it. */
	async order(chance: Chance, samples: readonly Sample[], webhook: string): Promise<void> {
		// Everything is drawn before the first wait, so that a seed always makes the same orders.
		const sample = oneOf(chance, samples)
		const count = 1 + Math.floor(4 * chance())
		const isTold = happens(chance, 0.4)
		const deadline = happens(chance, 0.12) && between(chance, 1, 20)
		const startDeadline = happens(chance, 0.08) && between(chance, 1, 10)
		const order: GenerationOrder = {
			...sample.order,
			count,
			priority: happens(chance, 0.2) ? 'low' : 'normal',
			...(isTold && { webhook: { url: webhook, events: EventName.options } }),
			...(deadline && { deadline }),
			...(startDeadline && { start_deadline: startDeadline })
		}
		const isNamed = happens(chance, 0.8)
		const repeats = happens(chance, 0.3) ? [0, between(chance, 0, 20)] : []
		const cancelAfter = happens(chance, 0.15) && between(chance, 0, 15)
		const deleteAfter = happens(chance, 0.1) && between(chance, 0, 15)
		const follows = happens(chance, 0.2)

		const headers = isNamed ? { 'idempotency-key': randomUUID() } : undefined
		// Without a name, nobody knows whether an order without an answer was accepted.
		const post = () => this[headers ? 'ask' : 'try']('POST', '/v1/generations', order, headers)
		const later = (after: number) => sleep(after * 1_000).then(post)
		const again = headers ? repeats.map(later) : []
		const answer = await post()
		if (!answer || !isAccepted(answer)) {
			if (answer && answer.status < 500) {
				this.refusals.push(JSON.stringify(answer))
			}
			return
		}
		const { id } = answer.body as Generation
		const isTimed = Boolean(deadline || startDeadline)
		const known: Accepted = {
			id,
			sample,
			count,
			isTold,
			isTimed,
			isCanceled: false,
			isDeleted: false,
			gone: [],
			ends: new Set(),
			ids: new Set([id])
		}
		this.accepted.push(known)
		const follow = async () => {
			if (follows) {
				await this.#follow(known)
			}
		}
		const repent = async () => {
			if (cancelAfter) {
				await sleep(cancelAfter * 1_000)
				known.isCanceled = true
				const { status, body } = await this.ask('POST', `/v1/generations/${id}/cancel`)
				if (status === 200) {
					known.ends.add((body as Generation).status)
				}
			}
			if (deleteAfter) {
				await sleep(deleteAfter * 1_000)
				known.isDeleted = true
				const { body } = await this.ask('GET', `/v1/generations/${id}`)
				known.gone = (body as Generation).images.map(({ url }) => url)
				await this.ask('DELETE', `/v1/generations/${id}`)
			}
		}
		await Promise.all([follow(), repent()])
		for (const repeated of await Promise.all(again)) {
			if (repeated && isAccepted(repeated)) {
				known.ids.add((repeated.body as Generation).id)
			}
		}
	}

	/** Listens to what happens to it until it ends, is deleted, or nothing is told any more; the edge may be gone for a while. */
	async #follow(known: Accepted): Promise<void> {
		for (let attempt = 0; attempt < 100 && !known.isDeleted; attempt++) {
			try {
				const client = new Darkroom({ url: this.url, apiKey: this.key })
				for await (const event of client.events(known.id, AbortSignal.timeout(30_000))) {
					if (event.type === 'end') {
						known.ends.add(event.generation.status)
						return
					}
				}
			} catch {
				await sleep(1_000)
			}
		}
	}
}

/** 200 where it was accepted, and has ended, before. */
const isAccepted = ({ status }: Answer) => status === 202 || status === 200
const bytesOf = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer())
