import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { initSync, WasmBuilder, WasmReader } from '@contentauth/c2pa-wasm'
import sharp from 'sharp'
import type { OutputType } from '../../shared/outputs.ts'
import { algorithmOf, Sign1 } from './cose.ts'
import { digitalSource } from './provenance.ts'

/**
 * Puts a C2PA manifest into an encoded picture. Undefined once a certificate has expired: readers refuse what is signed with it from then on.
 *
 * @param edited the id of the picture that it was, if parts of that are in it
 */
export type Sign = (picture: Uint8Array, type: OutputType, edited?: string) => Promise<Uint8Array<ArrayBuffer> | undefined>

interface Signer {
	readonly sign: Sign
	/** The subject of the certificate. */
	readonly subject: string
	/** When the first of its chain expires. */
	readonly until: Date
}

/** The certificate or its key will not do. */
class CredentialsUnusable extends Error {
	override name = 'CredentialsUnusable'
}

/** What a picture says of itself: that a model made it, or edited one (specification 2.2, §18.14.2 and 18.15.3), which is named, but not shown. */
function manifestOf(format: OutputType, edited: string | undefined) {
	const digitalSourceType = digitalSource(edited !== undefined)
	const actions = [
		{ action: 'c2pa.opened', parameters: { ingredientIds: ['image'] } },
		{ action: 'c2pa.edited', digitalSourceType }
	]
	return {
		format,
		claim_generator_info: [{ name: 'Darkroom' }],
		...(edited !== undefined && {
			ingredients: [{ label: 'image', title: 'image', relationship: 'parentOf', instance_id: edited }]
		}),
		assertions: [
			{
				label: 'c2pa.actions.v2',
				data: { actions: edited === undefined ? [{ action: 'c2pa.created', digitalSourceType }] : actions }
			}
		]
	}
}

/**
 * Signs with a certificate and its chain, its own first, and its private key, both in PEM. A picture is signed and read again before anything
 * else is: a certificate that readers of C2PA would refuse is refused here.
 *
 * Contents are Adobe's c2pa-rs in WebAssembly; the private key stays with OpenSSL.
 */
export async function openSigner(certificates: string, privateKey: string): Promise<Signer> {
	const chain = read('certificate', () => {
		const pem = certificates.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
		return pem.map((one) => new X509Certificate(one))
	})
	if (privateKey.includes('ENCRYPTED')) {
		throw new CredentialsUnusable('private key: expected PEM without a passphrase, got one with it')
	}
	const key = read('private key', () => createPrivateKey(privateKey))
	const algorithm = algorithmOf(key)
	if (!algorithm) {
		throw new CredentialsUnusable(`private key: expected P-256, P-384, P-521, Ed25519 or RSA, got ${kindOf(key)}`)
	}
	const [own] = chain
	if (!own?.checkPrivateKey(key)) {
		throw new CredentialsUnusable(`private key: expected that of ${own ? nameOf(own) : 'a certificate'}, got another`)
	}
	const until = endOf(chain)
	const sign1 = new Sign1(key, algorithm, chain)
	const signer = { alg: algorithm.name, reserveSize: sign1.length, sign: (claim: Uint8Array) => sign1.over(claim) }

	initSync({ module: readFileSync(fileURLToPath(import.meta.resolve('@contentauth/c2pa-wasm/c2pa.wasm'))) })
	// It was built for browsers' workers, and reads pictures as they do; what it is given for a Blob is our own.
	Object.assign(globalThis, { FileReaderSync: Reader })
	const sign: Sign = async (picture, type, edited) => {
		if (until.getTime() <= Date.now()) {
			return undefined
		}
		const builder = WasmBuilder.fromJson(JSON.stringify(manifestOf(type, edited)), settings)
		try {
			const blob = { size: picture.length, picture } as unknown as Blob
			return new Uint8Array(await builder.sign(signer as never, [], type, blob))
		} catch (error) {
			// What comes out of WebAssembly is text.
			throw error instanceof Error ? error : new Error(`not signed: ${error}`)
		} finally {
			builder.free()
		}
	}
	await prove(sign)
	return { sign, subject: nameOf(own), until }
}

/** When the first of a chain expires that is in order, and valid today. */
function endOf(chain: readonly X509Certificate[]): Date {
	// RFC 9360, §2. Readers look no further for who issued a certificate than to the next.
	const broken = chain.findIndex((one, i) => i > 0 && !chain[i - 1]!.checkIssued(one))
	if (broken > 0) {
		const [before, got] = [chain[broken - 1]!, chain[broken]!]
		throw new CredentialsUnusable(
			`certificate: expected ${nameOf(before)} to be followed by who issued it, ${onOneLine(before.issuer)}, got ${nameOf(got)}`
		)
	}
	const early = chain.find(({ validFromDate }) => validFromDate.getTime() > Date.now())
	if (early) {
		throw new CredentialsUnusable(`certificate: ${nameOf(early)} is valid from ${early.validFromDate.toISOString()} on`)
	}
	const first = chain.reduce((a, b) => (b.validToDate < a.validToDate ? b : a))
	if (first.validToDate.getTime() <= Date.now()) {
		throw new CredentialsUnusable(`certificate: ${nameOf(first)} expired at ${first.validToDate.toISOString()}`)
	}
	return first.validToDate
}

/** What is signed is read once, by `prove`: not each time, and with its findings in plain words. */
const settings = JSON.stringify({ verify: { verify_after_sign: false } })

class Reader {
	readAsArrayBuffer({ picture }: { picture: Uint8Array }): ArrayBuffer {
		return new Uint8Array(picture).buffer
	}
}

/** Whom the readers trust is theirs to say; everything else has to be as they expect it. */
async function prove(sign: Sign): Promise<void> {
	const plain = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'grey' } })
		.png()
		.toBuffer()
	const reader = await sign(plain, 'image/png')
		.then((signed) => WasmReader.fromBytes('image/png', signed as Uint8Array))
		.catch((error) => {
			throw new CredentialsUnusable(`certificate: ${error instanceof Error ? error.message : error}`)
		})
	const { validation_results } = JSON.parse(reader.json()) as {
		validation_results: { activeManifest: { failure: { code: string; explanation?: string }[] } }
	}
	reader.free()
	const failures = validation_results.activeManifest.failure.filter(({ code }) => code !== 'signingCredential.untrusted')
	if (failures.length > 0) {
		throw new CredentialsUnusable(
			`certificate: ${failures.map(({ code, explanation }) => `${code} (${explanation})`).join('; ')}`
		)
	}
}

function read<T>(what: string, work: () => T): T {
	try {
		return work()
	} catch (error) {
		throw new CredentialsUnusable(`${what}: expected PEM, got ${(error as Error).message}`)
	}
}

const onOneLine = (name: string) => name.replaceAll('\n', ', ')
const nameOf = ({ subject }: X509Certificate) => onOneLine(subject)
const kindOf = ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) => details?.namedCurve ?? type
