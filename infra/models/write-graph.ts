import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { bytesField, type Field, type ProtobufFile, varint, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { MODEL } from './graph.ts'

/** A stretch of the original file, or bytes in its place. */
export type Piece = Buffer | { readonly from: number; readonly to: number }

export const asItIs = ({ start, to }: Field): Piece => ({ from: start, to })

/** Copies a model to `target` with these pieces for the fields of its graph. All else is copied byte for byte, and never held in memory. */
export async function writeGraph(proto: ProtobufFile, target: string, pieces: readonly Piece[]): Promise<void> {
	const model = [...proto.fields()]
	const outer = model.find(({ number }) => number === MODEL.graph)!
	const length = pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.to - piece.from), 0)
	const before = model.filter(({ to }) => to <= outer.start).map(asItIs)
	const after = model.filter(({ start }) => start >= outer.to).map(asItIs)
	const header = Buffer.concat([varint(MODEL.graph * 8 + 2), varint(length)])
	await write(proto.file, target, [...before, header, ...pieces, ...after])
}

/** A ValueInfoProto, all of whose dimensions are free: see readPort in graph.ts. */
export function port(name: string, type: number, dims: readonly string[]): Buffer {
	const shape = Buffer.concat(dims.map((dim) => bytesField(1, bytesField(2, dim))))
	const tensor = Buffer.concat([varintField(1, type), bytesField(2, shape)])
	return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensor))])
}

async function write(source: string, target: string, pieces: readonly Piece[]): Promise<void> {
	async function* stream(): AsyncGenerator<Buffer> {
		let run: { from: number; to: number } | undefined
		const flush = async function* () {
			if (run && run.to > run.from) {
				yield* createReadStream(source, { start: run.from, end: run.to - 1 })
			}
		}
		for (const piece of pieces) {
			if (!Buffer.isBuffer(piece) && run?.to === piece.from) {
				run = { from: run.from, to: piece.to }
				continue
			}
			yield* flush()
			run = undefined
			if (Buffer.isBuffer(piece)) {
				yield piece
			} else {
				run = piece
			}
		}
		yield* flush()
	}
	await pipeline(Readable.from(stream()), createWriteStream(target, { flags: 'wx' }))
}
