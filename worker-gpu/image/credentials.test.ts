import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WasmReader } from '@contentauth/c2pa-wasm'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { OutputFormat } from '../../shared/outputs.ts'
import { isInstalled } from '../../test/installed.ts'
import { openSigner } from './credentials.ts'
import { encodePicture } from './encode.ts'

const dir = mkdtempSync(join(tmpdir(), 'darkroom-credentials-'))
afterAll(() => rmSync(dir, { recursive: true }))
const file = (name: string) => join(dir, name)
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
const pem = (name: string) => readFileSync(file(name), 'utf8')

const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
/** A certificate, its chain and its key, as an authority gives them out for C2PA, or not for it. */
function issue(name: string, key: string[], { usage = 'emailProtection', days = '1' } = {}): [string, string] {
	const extensions = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', `extendedKeyUsage=${usage}`]
	writeFileSync(file('extensions'), [...extensions, 'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'].join('\n'))
	openssl('req', ...key, '-subj', '/O=Darkroom/CN=Node', '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`))
	const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-extfile', file('extensions')]
	openssl('x509', '-req', '-in', file(`${name}.csr`), ...by, '-days', days, '-out', file(`${name}.pem`))
	return [pem(`${name}.pem`) + pem('ca.pem'), pem(`${name}.key`)]
}

const request = { model: 'scenes', prompt: 'a red sphere', width: 32, height: 16, steps: 4, guidance: 3, seed: 7, count: 1 }
const pixels = Uint8Array.from({ length: 32 * 16 * 3 }, (_, i) => (i * 53) % 256)
const picture = { pixels, width: 32, height: 16, seed: 7 }

/** What a reader that trusts our root makes of a picture. */
async function opened(bytes: Uint8Array, type: string) {
	const settings = JSON.stringify({ trust: { trust_anchors: pem('ca.pem') } })
	return JSON.parse((await WasmReader.fromBytes(type, bytes, settings)).json())
}

// Its certificates are openssl's.
describe.skipIf(!isInstalled('openssl'))('with a certificate', () => {
	beforeAll(() =>
		openssl('req', '-x509', ...p256, '-days', '2', '-subj', '/O=Tests/CN=Root', '-keyout', file('ca.key'), '-out', file('ca.pem'))
	)

	describe.each(OutputFormat.options)('a signed %s', (output_format) => {
		test('is trusted, says what made it, shows what it showed and says what it said', async () => {
			const { sign } = await openSigner(...issue(output_format, p256))
			const plain = await encodePicture(picture, { ...request, output_format })
			const { bytes, contentType } = await encodePicture(picture, { ...request, output_format }, sign)
			const { validation_state, active_manifest, manifests } = await opened(bytes, contentType)
			expect(validation_state).toBe('Trusted')
			expect(manifests[active_manifest]).toMatchObject({
				claim_generator_info: [{ name: 'Darkroom' }],
				assertions: expect.arrayContaining([
					expect.objectContaining({
						data: {
							actions: [{ action: 'c2pa.created', digitalSourceType: expect.stringMatching(/\/trainedAlgorithmicMedia$/) }]
						}
					})
				])
			})
			const of = async (encoded: Uint8Array) => {
				const { xmpAsString, exif } = await sharp(encoded).metadata()
				return { xmpAsString, exif, pixels: await sharp(encoded).raw().toBuffer() }
			}
			expect(await of(bytes)).toEqual(await of(plain.bytes))
		})

		test('names what it was before, where it was painted over', async () => {
			const { sign } = await openSigner(...issue(output_format, p256))
			const image = 'upl_00000000000000000000000000'
			const edited = { ...request, output_format, task: 'inpainting' as const, image, mask: image }
			const { bytes, contentType } = await encodePicture(picture, edited, sign)
			const { validation_state, active_manifest, manifests } = await opened(bytes, contentType)
			expect(validation_state).toBe('Trusted')
			const { ingredients, assertions } = manifests[active_manifest]
			expect(ingredients).toMatchObject([{ title: 'image', relationship: 'parentOf', instance_id: image }])
			const { data } = assertions.find(({ label }: { label: string }) => label === 'c2pa.actions.v2')
			expect(data.actions).toMatchObject([
				{ action: 'c2pa.opened', parameters: { ingredients: [{ url: expect.stringContaining('c2pa.ingredient') }] } },
				{ action: 'c2pa.edited', digitalSourceType: expect.stringMatching(/\/compositeWithTrainedAlgorithmicMedia$/) }
			])
		})

		test('is not, once a bit of it has changed', async () => {
			const { sign } = await openSigner(...issue(output_format, p256))
			const { bytes, contentType } = await encodePicture(picture, { ...request, output_format }, sign)
			// In the parameters that it carries.
			const at = Buffer.from(bytes).lastIndexOf('a red sphere')
			bytes[at] = 'A'.charCodeAt(0)
			expect((await opened(bytes, contentType)).validation_state).toBe('Invalid')
		})
	})

	test.each([
		['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes'], 'Es384'],
		['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521', '-nodes'], 'Es512'],
		['Ed25519', ['-newkey', 'ed25519', '-nodes'], 'Ed25519'],
		['RSA', ['-newkey', 'rsa:2048', '-nodes'], 'Ps256']
	])('a key of %s signs, too', async (name, key, algorithm) => {
		const { sign } = await openSigner(...issue(name, key))
		const { bytes, contentType } = await encodePicture(picture, request, sign)
		const { validation_state, active_manifest, manifests } = await opened(bytes, contentType)
		expect([validation_state, manifests[active_manifest].signature_info.alg]).toEqual(['Trusted', algorithm])
	})

	test('a certificate without a chain is no array of one', async () => {
		const [, key] = issue('lone', p256)
		const { sign } = await openSigner(pem('lone.pem'), key)
		const { bytes, contentType } = await encodePicture(picture, request, sign)
		// x5chain is 33, and a certificate a string of as many bytes as two say (RFC 9360, §2: COSE_X509).
		const { raw } = new X509Certificate(pem('lone.pem'))
		const field = Buffer.concat([Buffer.from([0x18, 33, 0x59, raw.length >> 8, raw.length & 0xff]), raw])
		expect(Buffer.from(bytes).includes(field)).toBe(true)
		expect((await opened(bytes, contentType)).validation_state).toBe('Trusted')
	})

	test('what is drawn after a certificate has expired goes out unsigned', async () => {
		const signer = await openSigner(...issue('brief', p256))
		expect(signer.until).toEqual(new X509Certificate(pem('brief.pem')).validToDate)
		expect((await encodePicture(picture, request, signer.sign)).isSigned).toBe(true)
		vi.useFakeTimers({ toFake: ['Date'], now: signer.until })
		try {
			const plain = await encodePicture(picture, request)
			expect(await encodePicture(picture, request, signer.sign)).toEqual(plain)
			expect(plain.isSigned).toBe(false)
		} finally {
			vi.useRealTimers()
		}
	})

	test('what readers would refuse is refused before anything is signed', async () => {
		const [chain, key] = issue('good', p256)
		const refused = (certificates: string, privateKey: string, message: string | RegExp) =>
			expect(openSigner(certificates, privateKey)).rejects.toThrow(message)
		await refused('', key, 'private key: expected that of a certificate, got another')
		await refused(chain, issue('other', p256)[1], 'private key: expected that of O=Darkroom')
		await refused(chain, 'a key', 'private key: expected PEM')
		await refused('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', key, 'certificate: expected PEM')
		await refused(...issue('curve', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-nodes']), 'got secp256k1')
		openssl('pkcs8', '-topk8', '-in', file('good.key'), '-passout', 'pass:word', '-out', file('locked.key'))
		await refused(chain, pem('locked.key'), 'private key: expected PEM without a passphrase, got one with it')
		await refused(...issue('server', p256, { usage: 'codeSigning' }), /^certificate: signingCredential.invalid \([^()]+\)$/)
		const unlike = 'certificate: expected O=Darkroom, CN=Node to be followed by who issued it, O=Tests, CN=Root, got O=Darkroom'
		await refused(pem('good.pem') + pem('other.pem') + pem('ca.pem'), key, unlike)
		await refused(...issue('old', p256, { days: '-1' }), /certificate: O=Darkroom, CN=Node expired at 20/)
		openssl('x509', '-in', file('ca.pem'), '-signkey', file('ca.key'), '-days', '-1', '-out', file('old-ca.pem'))
		await refused(pem('good.pem') + pem('old-ca.pem'), key, /certificate: O=Tests, CN=Root expired at 20/)
		vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 86_400_000 })
		try {
			await refused(chain, key, /certificate: O=Darkroom, CN=Node is valid from 20.*Z on$/)
		} finally {
			vi.useRealTimers()
		}
	})
})
