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

/** A meter event (Stripe Billing). Stripe refuses an identifier that it has seen within 24 hours, with a message and no code. */
export async function tellStripe({ key, event, url }: StripeSettings, reading: Reading): Promise<Outcome> {
	const at = url === undefined ? undefined : new URL(url)
	const stripe = new Stripe(key, {
		httpClient: Stripe.createFetchHttpClient(),
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
		return { outcome: 'accepted', text: '' }
	} catch (error) {
		const { message, statusCode: status } = error as InstanceType<typeof Stripe.errors.StripeError>
		if (status === 400 && /event already exists with identifier/i.test(message)) {
			return { outcome: 'accepted', text: '' }
		}
		return { outcome: outcomeOf(status), text: message }
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
		return answer.ok
			? { outcome: 'accepted', text: '' }
			: { outcome: outcomeOf(answer.status), text: `It answered ${answer.status}.` }
	} catch (error) {
		return { outcome: 'unknown', text: String(error) }
	}
}

/** What met a redirect or a client error was not counted; a server's, or none at all, says nothing about that. */
const outcomeOf = (status: number | undefined) => (status !== undefined && status >= 300 && status < 500 ? 'refused' : 'unknown')
