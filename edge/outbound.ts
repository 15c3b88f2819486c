import { describe } from './issues.ts'
import { refuse } from './refuse.ts'

/**
 * Whether a URL that a customer gave may be called from here: https to a public host. Workers reach the public internet alone, with
 * `global_fetch_strictly_public` in wrangler.toml, but a local workerd reaches everything, and a name that resolves to a private address is a trap wherever
 * a resolver answers.
 *
 * `URL` has decoded the host by now: 127.1, 0x7f000001, 2130706433 and 127.0.0.1 all arrive as 127.0.0.1, and names are in ASCII.
 */
export function isPublic(url: URL): boolean {
	const host = url.hostname.replace(/\.$/, '')
	return url.protocol === 'https:' && url.username === '' && url.password === '' && !isPrivateHost(host)
}

/** `text` as a URL that may be called, or an invalid-request problem at `pointer`. `allowLocal`: in development http and loopback may be, too. */
export function outboundUrl(text: string, pointer: string, allowLocal: boolean): URL {
	const url = URL.canParse(text) ? new URL(text) : undefined
	const isLocal =
		url && allowLocal && /^https?:$/.test(url.protocol) && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
	if (!url || (!isPublic(url) && !isLocal)) {
		refuse(pointer, 'an https URL of a public host, without credentials', describe(text))
	}
	return url
}

function isPrivateHost(host: string): boolean {
	if (host.startsWith('[')) {
		return !isPublicV6(host.slice(1, -1))
	}
	if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) {
		return !isPublicV4(host.split('.').map(Number))
	}
	// A name: at least two labels, none of them empty, and not one of those that are never public (RFC 6761, 6762, 8375; cloud metadata services).
	return (
		!/^[^.]+(\.[^.]+)+$/.test(host) ||
		/(^|\.)(localhost|local|localdomain|internal|intranet|lan|home|corp|arpa|test|example|invalid|onion)$/.test(host)
	)
}

/** IANA's special-purpose registry. */
function isPublicV4([a = 0, b = 0, c = 0]: readonly number[]): boolean {
	return !(
		a === 0 ||
		a === 10 ||
		a === 127 ||
		a >= 224 ||
		(a === 100 && b >= 64 && b <= 127) ||
		(a === 169 && b === 254) ||
		(a === 172 && b >= 16 && b <= 31) ||
		(a === 192 && b === 168) ||
		(a === 192 && b === 0 && (c === 0 || c === 2)) ||
		(a === 192 && b === 88 && c === 99) ||
		(a === 198 && (b === 18 || b === 19)) ||
		(a === 198 && b === 51 && c === 100) ||
		(a === 203 && b === 0 && c === 113)
	)
}

/** Global unicast alone (2000::/3), less what stands for an IPv4 address or for documentation. `URL` has compressed it and put it in hexadecimal. */
function isPublicV6(host: string): boolean {
	const [head = '', second = ''] = host.split(':')
	const first = Number.parseInt(head || '0', 16)
	const next = Number.parseInt(second || '0', 16)
	const is6to4 = first === 0x2002
	const isTeredoOrSpecial = first === 0x2001 && (next < 0x200 || next === 0xdb8)
	return first >= 0x2000 && first <= 0x3fff && !is6to4 && !isTeredoOrSpecial && !(first === 0x3fff && next < 0x1000)
}
