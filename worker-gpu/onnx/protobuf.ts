import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { ModelError } from './model-error.ts'

/** One field of a message, by where it lies in the file: protobuf.dev/programming-guides/encoding. */
export interface Field {
	readonly number: number
	/** 0 varint, 1 eight bytes, 2 bytes or a message, 5 four bytes. */
	readonly wire: number
	/** Where its tag begins, its content begins, and both end. */
	readonly start: number
	readonly from: number
	readonly to: number
	/** Of a varint; exact up to 2^53. */
	readonly value: number
}

const WINDOW = 1 << 16
const PART = 1 << 20

/**
 * A protobuf file, read where it is asked for and nowhere else: what lies between two fields is skipped, so gigabytes of weights cost nothing.
 * Throws a ModelError where the file is no protobuf message or has been cut off.
 */
export class ProtobufFile {
	readonly file: string
	readonly size: number
	readonly #what: string
	readonly #descriptor: number
	readonly #window = Buffer.alloc(WINDOW)
	#windowFrom = 0
	#windowTo = 0

	/** @param what it is to be, for messages */
	constructor(file: string, what = 'an ONNX graph') {
		this.file = file
		this.#what = what
		this.#descriptor = openSync(file, 'r')
		this.size = fstatSync(this.#descriptor).size
	}

	*fields(from = 0, to = this.size): Generator<Field> {
		let at = from
		const varint = (): number => {
			let value = 0
			for (let i = 0; i < 10; i++) {
				const byte = this.#byte(at++, to)
				value += (byte & 0x7f) * 2 ** (7 * i)
				if (byte < 0x80) {
					return value
				}
			}
			throw this.#broken(at)
		}
		while (at < to) {
			const start = at
			const tag = varint()
			const [number, wire] = [Math.floor(tag / 8), tag % 8]
			let value = 0
			let length = 0
			if (wire === 0) {
				value = varint()
			} else if (wire === 1 || wire === 5) {
				length = wire === 1 ? 8 : 4
			} else if (wire === 2) {
				length = varint()
			} else {
				throw this.#broken(start)
			}
			if (number === 0 || at + length > to) {
				throw this.#broken(start)
			}
			const content = wire === 0 ? start : at
			at += length
			yield { number, wire, start, from: content, to: at, value }
		}
	}

	bytes(from: number, to: number): Buffer {
		const buffer = Buffer.allocUnsafe(to - from)
		this.readInto(buffer, from)
		return buffer
	}

	/** The same, part by part, each in the memory of the one before. */
	*parts(from: number, to: number): Generator<Buffer> {
		const part = Buffer.allocUnsafe(Math.min(PART, to - from))
		for (let at = from; at < to; at += part.length) {
			const filled = part.subarray(0, to - at)
			this.readInto(filled, at)
			yield filled
		}
	}

	/** Fills `buffer` with what lies from there on. */
	readInto(buffer: Buffer, from: number): void {
		if (from >= this.#windowFrom && from + buffer.length <= this.#windowTo) {
			this.#window.copy(buffer, 0, from - this.#windowFrom)
		} else if (readSync(this.#descriptor, buffer, 0, buffer.length, from) !== buffer.length) {
			throw this.#broken(from)
		}
	}

	text({ from, to }: Field): string {
		if (to - from > WINDOW) {
			throw new ModelError(this.file, `expected names of at most ${WINDOW} bytes, got one of ${to - from}`)
		}
		return this.bytes(from, to).toString('utf8')
	}

	close(): void {
		closeSync(this.#descriptor)
	}

	#byte(at: number, end: number): number {
		if (at >= end) {
			throw this.#broken(at)
		}
		if (at < this.#windowFrom || at >= this.#windowTo) {
			this.#windowFrom = at
			this.#windowTo = at + readSync(this.#descriptor, this.#window, 0, WINDOW, at)
		}
		return this.#window[at - this.#windowFrom]!
	}

	#broken(at: number): ModelError {
		return new ModelError(
			this.file,
			`expected ${this.#what}, got a file that is broken or cut off (${this.size} bytes; see byte ${at})`
		)
	}
}

/** A field of bytes as it is written. */
export const bytesField = (number: number, content: Buffer | string): Buffer => {
	const bytes = Buffer.from(content)
	return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

export const floatField = (number: number, value: number): Buffer => {
	const bytes = Buffer.alloc(4)
	bytes.writeFloatLE(value)
	return Buffer.concat([varint(number * 8 + 5), bytes])
}

export const varintField = (number: number, value: number): Buffer => Buffer.concat([varint(number * 8), varint(value)])

/** Of a whole number; below zero in two's complement of 64 bits. */
export function varint(value: number): Buffer {
	const bytes: number[] = []
	let left = BigInt.asUintN(64, BigInt(value))
	for (; left >= 0x80n; left >>= 7n) {
		bytes.push(Number(left & 0x7fn) + 0x80)
	}
	return Buffer.from([...bytes, Number(left)])
}
