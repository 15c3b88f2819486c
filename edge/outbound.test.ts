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
