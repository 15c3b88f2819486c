import { WorkerEntrypoint } from 'cloudflare:workers'
import type { SinkName } from '../../shared/contract/meters.ts'
import { parseEnv } from '../env.ts'
import { ProblemError } from '../errors.ts'
import { outboundUrl } from '../outbound.ts'
import { type Outcome, type Reading, tellCloudEvents, tellStripe } from './meters.ts'

/** Milliseconds until an answer must have come, its beginning included. */
const patience = 15_000
/** Characters of an answer that are kept. */
const kept = 300

export interface Letter {
	url: string
	headers: Record<string, string>
	body: string
}

/** What came back: a status, or what went wrong before there was one. */
export interface Reply {
	status: number | null
	/** The beginning of the answer, or the error. */
	text: string
	/** Seconds that a `Retry-After` asks for. */
	retryAfter: number | null
	/** Milliseconds. */
	duration: number
}

/**
 * Posts to places outside. An invocation of its own for each letter, because each invocation may hold six connections at once: in the Account,
 * a few receivers that never answer would keep all of its other calls from leaving.
 */
export class Courier extends WorkerEntrypoint<Cloudflare.Env> {
	async post({ url, headers, body }: Letter): Promise<Reply> {
		const began = performance.now()
		const reply = (status: number | null, text: string, retryAfter: number | null = null): Reply => ({
			status,
			text,
			retryAfter,
			duration: Math.round(performance.now() - began)
		})
		try {
			// Looked at again: what was allowed when it was set may not be any more.
			const allowed = outboundUrl(url, '/url', parseEnv(this.env).ALLOW_LOCAL_URLS)
			const signal = AbortSignal.timeout(patience)
			const answer = await fetch(allowed, { method: 'POST', headers, body, redirect: 'manual', signal })
			return reply(answer.status, await beginning(answer.body, signal), secondsOf(answer.headers.get('retry-after')))
		} catch (error) {
			return reply(null, reason(error))
		}
	}

	async meter(sink: SinkName, reading: Reading): Promise<Outcome> {
		const { STRIPE_API_KEY: key, STRIPE_METER_EVENT: event, STRIPE_API_URL: url, ...env } = parseEnv(this.env)
		if (sink === 'stripe' && key) {
			return tellStripe({ key, event, url }, reading)
		}
		if (sink === 'cloudevents' && env.METER_SINK_URL) {
			return tellCloudEvents(env.METER_SINK_URL, env.METER_SINK_TOKEN, reading)
		}
		return { outcome: 'refused', text: `${sink} is not configured.` }
	}
}

/** Up to `kept` characters; the rest is not waited for. */
async function beginning(body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<string> {
	const decoder = new TextDecoder()
	let text = ''
	const reader = body?.getReader()
	const stop = () => void reader?.cancel().catch(() => {})
	signal.addEventListener('abort', stop)
	try {
		while (reader && text.length < kept) {
			const { done, value } = await reader.read()
			if (done) {
				break
			}
			text += decoder.decode(value, { stream: true })
		}
	} catch {
		// The status has come, and says enough.
	} finally {
		signal.removeEventListener('abort', stop)
		stop()
	}
	return text.slice(0, kept)
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function secondsOf(header: string | null): number | null {
	if (header === null) {
		return null
	}
	const seconds = /^\d{1,9}$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000
	return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

function reason(error: unknown): string {
	if (error instanceof ProblemError) {
		return 'The URL may not be called: it is no https URL of a public host.'
	}
	const { name, message } = error as Error
	if (name === 'TimeoutError' || name === 'AbortError') {
		return `No answer within ${patience / 1_000} s.`
	}
	// All that workerd tells of a handshake that failed.
	return /^internal error/.test(message)
		? 'No connection: it may have no TLS, or a certificate that has expired or that nobody trusts.'
		: message.slice(0, kept)
}
