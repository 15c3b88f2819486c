import { describe, expect, it } from 'vitest'
import { mintKey, readKey } from './keys.ts'

const secret = 'one root secret, thirty-two long'

describe('keys', () => {
	it('name their account, and no two are alike', () => {
		const key = mintKey(secret, 'acme-2')
		expect(key).toMatch(/^dk_acme-2_[0-9a-z]{32}_[0-9a-f]{16}$/)
		expect(readKey(secret, key)).toEqual({ account: 'acme-2', hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
		expect(mintKey(secret, 'acme-2')).not.toBe(key)
	})

	it('are refused when one letter was changed, wherever it is', () => {
		const key = mintKey(secret, 'acme')
		for (let at = 0; at < key.length; at++) {
			const changed = key.slice(0, at) + (key[at] === '0' ? '1' : '0') + key.slice(at + 1)
			expect(readKey(secret, changed), changed).toBeUndefined()
		}
	})

	it.each(['', 'dk_', 'dk_acme', 'sk_acme_x_y'])('refuses %j', (text) => {
		expect(readKey(secret, text)).toBeUndefined()
	})

	it('are refused under another root secret, and for another account', () => {
		const key = mintKey(secret, 'acme')
		expect(readKey('another root secret, thirty-two.', key)).toBeUndefined()
		expect(readKey(secret, key.replace('acme', 'evil'))).toBeUndefined()
	})
})
