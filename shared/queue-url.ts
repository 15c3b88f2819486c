import { z } from 'zod'

const kinds = 'expected postgres://, redis:// or rediss://'

/** Where the queue is. What its clients fall over later, or take for the first of Redis' databases, is told at the door; the password is not. */
export const QueueUrl = z
	.string(`${kinds}, got no URL`)
	.refine((url) => faultOf(url) === undefined, { error: ({ input }) => faultOf(input as string) })

function faultOf(url: string): string | undefined {
	if (!/^(postgres(ql)?|rediss?):\/\//.test(url)) {
		return `${kinds}, got ${URL.canParse(url) ? `${new URL(url).protocol}//` : 'no URL'}`
	}
	if (!URL.canParse(url) || (url.startsWith('redis') && !isDecodable(new URL(url)))) {
		return 'expected a URL whose user and password are escaped: # as %23, / as %2F, ? as %3F, % as %25'
	}
	const { protocol, pathname } = new URL(url)
	// What is there may be the end of a password.
	return protocol.startsWith('redis') && !/^\/?\d*$/.test(pathname)
		? 'expected nothing after the host but the number of a Redis database'
		: undefined
}

/** As ioredis decodes them; pg takes a % that begins no escape for itself. */
function isDecodable({ username, password }: URL): boolean {
	try {
		decodeURIComponent(username)
		decodeURIComponent(password)
		return true
	} catch {
		return false
	}
}
