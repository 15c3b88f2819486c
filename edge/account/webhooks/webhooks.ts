import type {
	Delivery,
	Endpoint,
	EndpointChange,
	EndpointRequest,
	targetOf,
	WebhookSecret
} from '../../../shared/contract/webhooks.ts'
import type { Letter, Reply } from '../../courier/courier.ts'
import type { Due } from '../due.ts'
import type { Happening } from '../happenings.ts'
import type { Page } from '../page.ts'
import { Deliveries, type DeliveryFilter, type DeliveryRow, laneOf, lost, type NewDelivery } from './deliveries.ts'
import { Endpoints, isSame } from './endpoints.ts'
import { Secrets } from './secrets.ts'
import { signedHeaders } from './signature.ts'

/** Letters under way to one origin at a time. */
const parallel = 4

interface Surroundings {
	storage: DurableObjectStorage
	due: Due
	/** Throws an invalid-request problem at `pointer` where a URL may not be called. */
	expectCallable(url: string, pointer: string): void
	/** The webhook that came with a generation. */
	targetOf(generation: string): ReturnType<typeof targetOf> | undefined
	bodyOf(delivery: DeliveryRow): Promise<string>
	/** Those that are not Standard Webhooks', where a vendor has some. */
	headersOf(delivery: DeliveryRow, at: number, body: string): Promise<Record<string, string>>
	post(letter: Letter): Promise<Reply>
	/** Lets work go on after the transaction. */
	defer(work: Promise<void>): void
	/** One transaction, and then whatever it made due. */
	decide(work: () => void): void
}

/**
 * The account's webhooks. An event's deliveries are written in the transaction that makes the event, and are sent afterwards, each until it has
 * arrived or its schedule has ended. A receiver's origin is a lane: lanes wait for nobody but themselves. Methods run inside a transaction.
 */
export class Webhooks {
	readonly #at: Surroundings
	readonly #endpoints: Endpoints
	readonly #deliveries: Deliveries
	readonly #secrets: Secrets
	/** By lane. Should we be evicted, what is lost of it comes back by itself. */
	readonly #underWay = new Map<string, Set<string>>()

	constructor(surroundings: Surroundings) {
		this.#at = surroundings
		const { sql, kv } = surroundings.storage
		this.#endpoints = new Endpoints(sql)
		this.#deliveries = new Deliveries(sql)
		this.#secrets = new Secrets(kv)
	}

	observe({ id, at, type, ...rest }: Happening): void {
		const event = `generation.${type}` as const
		const target = this.#at.targetOf(id)
		const own = target?.events.includes(event) ? target : undefined
		// An endpoint of the same URL would have the same message under another id.
		const others = this.#endpoints.subscribed(event).filter(({ url }) => own?.format !== 'darkroom' || !isSame(own.url, url))
		const places = others.map(({ id, url }): Pick<NewDelivery, 'endpoint' | 'url'> => ({ endpoint: id, url }))
		if (own) {
			places.push({ endpoint: null, url: own.url })
		}
		for (const place of places) {
			this.#send({ ...place, type: event, generation: id, n: 'n' in rest ? rest.n : null, at })
		}
	}

	/** What is due of one lane, as far as it has room. */
	run(lane: string, now: number): void {
		const underWay = this.#underWay.get(lane) ?? new Set()
		for (const row of this.#deliveries.claim(lane, now, parallel - underWay.size, underWay)) {
			underWay.add(row.id)
			this.#at.defer(this.#attempt(row, underWay))
		}
		if (underWay.size > 0) {
			this.#underWay.set(lane, underWay)
		}
		this.#deliveries.forgetOld(now)
		this.#schedule(lane)
	}

	/** What waits for a time that was set by a clock that was ahead is sent now. */
	bringBack(now: number): void {
		for (const lane of this.#deliveries.bringBack(now)) {
			this.#schedule(lane)
		}
	}

	endpoints = (): Endpoint[] => this.#endpoints.list()
	endpoint = (id: string): Endpoint => this.#endpoints.read(id)

	addEndpoint(request: EndpointRequest, now: number): Endpoint {
		this.#at.expectCallable(request.url, '/url')
		return this.#endpoints.add(request, now)
	}

	changeEndpoint(id: string, change: EndpointChange): Endpoint {
		if (change.url !== undefined) {
			this.#at.expectCallable(change.url, '/url')
		}
		const changed = this.#endpoints.change(id, change)
		if (change.url !== undefined) {
			this.#deliveries.move(id, change.url)
			this.#schedule(laneOf(change.url))
		}
		if (change.enabled === false) {
			this.#deliveries.giveUp('endpoint = ?', id)
		}
		return changed
	}

	removeEndpoint(id: string): void {
		this.#endpoints.remove(id)
		this.#deliveries.giveUp('endpoint = ?', id)
	}

	/** A message that says nothing, to see whether it arrives. */
	ping(id: string, now: number): Delivery {
		const { url } = this.#endpoints.read(id)
		return this.#send({ endpoint: id, url, type: 'ping', generation: null, n: null, at: now })
	}

	secret = (now: number): WebhookSecret => this.#secrets.read(now)
	rotateSecret = (now: number): WebhookSecret => this.#secrets.rotate(now)

	delivery = (id: string): Delivery => this.#deliveries.read(id)
	deliveries = (filter: DeliveryFilter, cursor: string | undefined, limit: number): Page<Delivery> =>
		this.#deliveries.list(filter, cursor, limit)

	/** To where its endpoint is by now. */
	replay(id: string, now: number): Delivery {
		const { endpoint, url } = this.#deliveries.read(id)
		const place = this.#endpoints.list().find((one) => one.id === endpoint)
		this.#schedule(this.#deliveries.replay(id, place?.url ?? url, now).lane)
		return this.#deliveries.read(id)
	}

	#send(delivery: NewDelivery): Delivery {
		const { id, lane } = this.#deliveries.add(delivery)
		this.#schedule(lane)
		return this.#deliveries.read(id)
	}

	/** The lane's one due row is at the next of its deliveries; and while some are under way, no later than when they count as lost. */
	#schedule(lane: string): void {
		const underWay = this.#underWay.get(lane) ?? new Set()
		const next = underWay.size < parallel ? this.#deliveries.next(lane, underWay) : undefined
		const at = underWay.size > 0 ? Math.min(next ?? Number.POSITIVE_INFINITY, Date.now() + lost) : next
		if (at === undefined) {
			this.#at.due.remove('webhook', lane)
		} else {
			this.#at.due.put('webhook', lane, at)
		}
	}

	async #attempt(row: DeliveryRow, underWay: Set<string>): Promise<void> {
		const at = Date.now()
		let reply: Reply
		try {
			const body = await this.#at.bodyOf(row)
			const headers = { ...signedHeaders(this.#secrets.good(at), row.id, at, body), ...(await this.#at.headersOf(row, at, body)) }
			reply = await this.#at.post({ url: row.url, headers, body })
		} catch (error) {
			reply = { status: null, text: String(error), retryAfter: null, duration: Date.now() - at }
		}
		this.#at.decide(() => {
			underWay.delete(row.id)
			if (underWay.size === 0) {
				this.#underWay.delete(row.lane)
			}
			this.#schedule(row.lane)
			const { lane } = this.#deliveries.record(row, at, reply)
			if (reply.status === 410) {
				this.#stopTelling(row)
			}
			this.#schedule(lane)
		})
	}

	/** 410: the receiver wants no more, now or ever. An endpoint may have moved to another meanwhile. */
	#stopTelling({ endpoint, url }: DeliveryRow): void {
		if (endpoint === null) {
			this.#deliveries.giveUp('endpoint IS NULL AND url = ?', url)
		} else if (this.#endpoints.list().some((one) => one.id === endpoint && one.url === url)) {
			this.changeEndpoint(endpoint, { enabled: false })
		}
	}
}
