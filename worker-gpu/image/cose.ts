import { constants, type KeyObject, sign, type X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'

/** How a key signs: its name in C2PA (specification 2.2, §13.2), in COSE (RFC 9053), and for OpenSSL. */
export interface Algorithm {
	readonly name: 'es256' | 'es384' | 'es512' | 'ps256' | 'ed25519'
	readonly cose: number
	readonly digest: 'sha256' | 'sha384' | 'sha512' | null
	/** Bytes of a signature. */
	readonly length: number
}

const curves: Record<string, Algorithm> = {
	prime256v1: { name: 'es256', cose: -7, digest: 'sha256', length: 64 },
	secp384r1: { name: 'es384', cose: -35, digest: 'sha384', length: 96 },
	secp521r1: { name: 'es512', cose: -36, digest: 'sha512', length: 132 }
}

/** Undefined where C2PA allows no such key. */
export function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): Algorithm | undefined {
	switch (type) {
		case 'ec':
			return curves[details?.namedCurve ?? '']
		case 'ed25519':
			return { name: 'ed25519', cose: -8, digest: null, length: 64 }
		case 'rsa':
			return { name: 'ps256', cose: -37, digest: 'sha256', length: (details?.modulusLength ?? 0) / 8 }
		default:
			return undefined
	}
}

/** A COSE_Sign1 (RFC 9052, §4.2) over a payload that is not in it, with the certificates in its protected header (RFC 9360). */
export class Sign1 {
	readonly #key: KeyObject
	readonly #algorithm: Algorithm
	readonly #header: Buffer

	constructor(key: KeyObject, algorithm: Algorithm, certificates: readonly X509Certificate[]) {
		this.#key = key
		this.#algorithm = algorithm
		const [own, ...others] = certificates.map(({ raw }) => bytes(raw))
		const chain = others.length === 0 ? own! : array(own!, ...others)
		this.#header = bytes(map(integer(1), integer(algorithm.cose), integer(33), chain))
	}

	/** Bytes of it, whatever the payload. */
	get length(): number {
		return this.#around(Buffer.alloc(this.#algorithm.length)).length
	}

	async over(payload: Uint8Array): Promise<Uint8Array> {
		const { digest } = this.#algorithm
		const key = { key: this.#key, dsaEncoding: 'ieee-p1363' } as const
		const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
		const signed = array(text('Signature1'), this.#header, bytes(Buffer.alloc(0)), bytes(payload))
		const isRsa = this.#key.asymmetricKeyType === 'rsa'
		return this.#around(await promisify(sign)(digest, signed, isRsa ? { ...key, ...pss } : key))
	}

	#around(signature: Buffer): Buffer {
		const none = head(7, 22)
		return Buffer.concat([head(6, 18), array(this.#header, map(), none, bytes(signature))])
	}
}

// As much of CBOR (RFC 8949) as is needed here.
function head(major: number, argument: number): Buffer {
	const length = argument < 24 ? 0 : argument < 0x100 ? 1 : argument < 0x10000 ? 2 : 4
	const bytes = Buffer.alloc(1 + length)
	bytes[0] = (major << 5) | (length === 0 ? argument : 24 + Math.log2(length))
	if (length > 0) {
		bytes.writeUIntBE(argument, 1, length)
	}
	return bytes
}

const integer = (value: number) => (value < 0 ? head(1, -1 - value) : head(0, value))
const bytes = (value: Uint8Array) => Buffer.concat([head(2, value.length), value])
const text = (value: string) => Buffer.concat([head(3, value.length), Buffer.from(value, 'ascii')])
const array = (...items: Buffer[]) => Buffer.concat([head(4, items.length), ...items])
const map = (...items: Buffer[]) => Buffer.concat([head(5, items.length / 2), ...items])
