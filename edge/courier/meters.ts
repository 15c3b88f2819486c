import Stripe from 'stripe'

/** What is told of one batch of pictures. */
export interface Reading {
	/** The identifier under which it is sent, however often. */
	id: string
	/** Whom the sink knows the account as. */
	customer: string
	model: string
	/** Micro-units for each picture. */
	price: number
	/** Below zero where they were refunded. */
	pictures: number
	/** Milliseconds: the minute in which the pictures were charged. */
	at: number
}

/** `refused`: it was certainly not counted. `unknown`: it may have been. */
export interface Outcome {
	outcome: 'accepted' | 'refused' | 'unknown'
	text: string
}

interface StripeSettings {
	key: string
	event: string
	/** Where the API is, if not at Stripe's. */
	url: string | undefined
}

/** Milliseconds. */
const patience = 15_000

/**
 * A meter event (Stripe Billing). Stripe refuses an identifier that it has seen within 24 hours, with a message and no code. Its client takes any JSON without an
 * `error` for success, whatever its status, follows a redirect with GET, and tells no status of what is no JSON: something on the way may answer so.
 */
export async function tellStripe({ key, event, url }: StripeSettings, reading: Reading): Promise<Outcome> {
	const at = url === undefined ? undefined : new URL(url)
	let status = 0
	const stripe = new Stripe(key, {
		httpClient: Stripe.createFetchHttpClient(async (input: RequestInfo | URL, init?: RequestInit) => {
			const answer = await fetch(input, { ...init, redirect: 'manual' })
			status = answer.status
			return answer
		}),
		maxNetworkRetries: 0,
		timeout: patience,
		telemetry: false,
		...(at && { protocol: at.protocol === 'http:' ? 'http' : 'https', host: at.hostname, ...(at.port && { port: at.port }) })
	})
	const { id, customer, model, price, pictures } = reading
	try {
		await stripe.billing.meterEvents.create({
			event_name: event,
			identifier: id,
			timestamp: Math.floor(reading.at / 1_000),
			payload: { stripe_customer_id: customer, value: String(pictures), model, price: String(price) }
		})
		return answered(status)
	} catch (error) {
		const { message } = error as Error
		const isKnown = status === 400 && /event already exists with identifier/i.test(message)
		return isKnown ? accepted : { outcome: outcomeOf(status), text: message }
	}
}

/** A CloudEvent in structured mode, as OpenMeter and others take it. */
export async function tellCloudEvents(url: string, token: string | undefined, reading: Reading): Promise<Outcome> {
	const { id, customer, model, price, pictures, at } = reading
	const event = {
		specversion: '1.0',
		id,
		source: 'darkroom',
		type: 'pictures',
		subject: customer,
		time: new Date(at).toISOString(),
		data: { value: pictures, model, price }
	}
	try {
		const answer = await fetch(url, {
			method: 'POST',
			headers: { 'content-type': 'application/cloudevents+json', ...(token && { authorization: `Bearer ${token}` }) },
			body: JSON.stringify(event),
			redirect: 'manual',
			signal: AbortSignal.timeout(patience)
		})
		await answer.body?.cancel()
		return answered(answer.status)
	} catch (error) {
		return { outcome: 'unknown', text: String(error) }
	}
}

const accepted: Outcome = { outcome: 'accepted', text: '' }

/** What an answer comes to by its status alone. */
const answered = (status: number): Outcome =>
	status >= 200 && status < 300 ? accepted : { outcome: outcomeOf(status), text: `It answered ${status}.` }

/** What met a redirect or a client error was not counted; a server's, or none at all, says nothing about that. */
const outcomeOf = (status: number) => (status >= 300 && status < 500 ? 'refused' : 'unknown')
