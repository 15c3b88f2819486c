import { inputLimits } from '../../shared/input-limits.ts'
import type { Env } from '../env.ts'
import { BrokenOff, Held } from '../held.ts'
import { outboundUrl } from '../outbound.ts'
import { refuse } from '../refuse.ts'

/** Milliseconds for all of it: the redirects, the headers and the last byte. */
const patience = 10_000
const mostRedirects = 3
const redirects = new Set([301, 302, 303, 307, 308])

/** The bytes behind a URL that `account` gave. Each address on the way there has to be public; nothing of what it answers is believed but the bytes. */
export async function fetchInput(env: Env, account: string, text: string, pointer: string): Promise<Held> {
	const signal = AbortSignal.timeout(patience)
	let url = outboundUrl(text, pointer, env.ALLOW_LOCAL_URLS)
	for (let hop = 0; hop <= mostRedirects; hop++) {
		const response = await ask(url, pointer, signal)
		const location = redirects.has(response.status) ? response.headers.get('location') : null
		if (location === null) {
			return response.ok
				? readAll(account, response, pointer)
				: refuse(pointer, 'an image at the URL', `status ${response.status}`)
		}
		await response.body?.cancel()
		url = outboundUrl(
			URL.canParse(location, url.href) ? new URL(location, url.href).href : location,
			pointer,
			env.ALLOW_LOCAL_URLS
		)
	}
	return refuse(pointer, `an image after at most ${mostRedirects} redirects`, 'another redirect')
}

async function ask(url: URL, pointer: string, signal: AbortSignal): Promise<Response> {
	try {
		// Not compressed: pictures hardly get smaller, and what unpacks itself is a trap.
		const headers = { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'darkroom' }
		return await fetch(url.href, { redirect: 'manual', signal, headers })
	} catch {
		return refuse(pointer, `an image at the URL within ${patience / 1_000} seconds`, 'no answer')
	}
}

async function readAll(account: string, { body, headers }: Response, pointer: string): Promise<Held> {
	try {
		const held = await Held.read(account, body, inputLimits.bytes, Number(headers.get('content-length')) || undefined)
		if (held.bytes.length <= inputLimits.bytes) {
			return held
		}
		held.release()
	} catch (error) {
		if (error instanceof BrokenOff) {
			return refuse(pointer, `a whole image within ${patience / 1_000} seconds`, `its first ${error.length} bytes`)
		}
		throw error
	}
	await body?.cancel()
	return refuse(pointer, `at most ${inputLimits.bytes} bytes`, 'more')
}
