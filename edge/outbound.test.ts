import { expect, test } from 'vitest'
import { isPublic, outboundUrl } from './outbound.ts'

test.each(['https://example.com/hook', 'https://93.184.216.34/', 'https://[2606:4700::1111]/x', 'https://münchen.de:8443/'])(
	'%s is public',
	(url) => {
		expect(isPublic(new URL(url))).toBe(true)
	}
)

test.each([
	'http://example.com/',
	'https://user:pass@example.com/',
	'https://localhost/',
	'https://LOCALHOST./',
	'https://intranet/',
	'https://printer.local/',
	'https://metadata.google.internal/',
	'https://127.0.0.1/',
	'https://127.1/',
	'https://2130706433/',
	'https://0x7f.0.0.1/',
	'https://0177.0.0.1/',
	'https://%31%32%37.0.0.1/',
	'https://①②⑦.0.0.1/',
	'https://10.1.2.3/',
	'https://100.64.0.1/',
	'https://169.254.169.254/latest/meta-data/',
	'https://172.31.255.255/',
	'https://192.168.1.1/',
	'https://0.0.0.0/',
	'https://255.255.255.255/',
	'https://[::1]/',
	'https://[::]/',
	'https://[::ffff:127.0.0.1]/',
	'https://[64:ff9b::7f00:1]/',
	'https://[2002:7f00:1::]/',
	'https://[2001:db8::1]/',
	'https://[fe80::1]/',
	'https://[fd00::1]/',
	'https://[ff02::1]/'
])('%s is not', (url) => {
	expect(isPublic(new URL(url))).toBe(false)
})

test.each([
	['9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0'],
	['100.63.255.255', '100.64.0.0', '100.127.255.255', '100.128.0.0'],
	['126.255.255.255', '127.0.0.0', '127.255.255.255', '128.0.0.0'],
	['169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0'],
	['172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0'],
	['191.255.255.255', '192.0.0.0', '192.0.0.255', '192.0.1.0'],
	['192.0.1.255', '192.0.2.0', '192.0.2.255', '192.0.3.0'],
	['192.88.98.255', '192.88.99.0', '192.88.99.255', '192.88.100.0'],
	['192.167.255.255', '192.168.0.0', '192.168.255.255', '192.169.0.0'],
	['198.17.255.255', '198.18.0.0', '198.19.255.255', '198.20.0.0'],
	['198.51.99.255', '198.51.100.0', '198.51.100.255', '198.51.101.0'],
	['203.0.112.255', '203.0.113.0', '203.0.113.255', '203.0.114.0'],
	['[2000:ffff::]', '[2001::]', '[2001:1ff:ffff::]', '[2001:200::]'],
	['[2001:db7:ffff::]', '[2001:db8::]', '[2001:db8:ffff::]', '[2001:db9::]'],
	['[2001:ffff::]', '[2002::]', '[2002:ffff::]', '[2003::]'],
	['[3ffe:ffff::]', '[3fff::]', '[3fff:fff:ffff::]', '[3fff:1000::]']
])('%s is public, %s to %s are not, and %s is', (...hosts) => {
	expect(hosts.map((host) => isPublic(new URL(`https://${host}/`)))).toEqual([true, false, false, true])
})

test('what is called is called from outside, hosts of our own zone too', () => {
	expect(Cloudflare.compatibilityFlags).toMatchObject({ global_fetch_strictly_public: true })
})

test('loopback may be called in development only', () => {
	expect(outboundUrl('http://127.0.0.1:9000/hook', '/webhook', true).port).toBe('9000')
	expect(() => outboundUrl('http://127.0.0.1:9000/hook', '/webhook', false)).toThrow(
		'/webhook: expected an https URL of a public host'
	)
	expect(() => outboundUrl('http://10.0.0.1/', '/webhook', true)).toThrow('/webhook: expected an https URL of a public host')
	expect(() => outboundUrl('nonsense', '/webhook', true)).toThrow(
		'/webhook: expected an https URL of a public host, without credentials, got "nonsense".'
	)
})
