import { ModelError } from '../../onnx/model-error.ts'
import { type Field, ProtobufFile } from '../../onnx/protobuf.ts'

/** What a Unigram tokenizer needs of a SentencePiece model. */
export interface SentencePieces {
	/** With the logarithms of their probabilities, by id. */
	readonly pieces: readonly (readonly [piece: string, score: number])[]
	/** Id of what stands for all that is in no piece. */
	readonly unknown: number
	/** Of its normalisation; null where it has none. */
	readonly charsmap: Buffer | null
}

/** The numbers of fields in sentencepiece_model.proto. */
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 }
const PIECE = { piece: 1, score: 2 }
const TRAINER = { modelType: 3, byteFallback: 35, unknown: 40 }
const NORMALIZER = { charsmap: 2 }
const UNIGRAM = 1

/** `spiece.model`. Throws a ModelError where it is none, or one of another kind than T5's. */
export function readSentencePieces(name: string): SentencePieces {
	const file = new ProtobufFile(name, 'a SentencePiece model')
	try {
		const fields = [...file.fields()]
		const inside = (number: number) =>
			fields.filter((field) => field.number === number && field.wire === 2).flatMap(({ from, to }) => [...file.fields(from, to)])
		const bytes = ({ from, to }: Field) => file.bytes(from, to)

		const trainer = new Map(inside(MODEL.trainer).map(({ number, value }) => [number, value]))
		const [kind, fallback] = [trainer.get(TRAINER.modelType) ?? UNIGRAM, trainer.get(TRAINER.byteFallback) ?? 0]
		if (kind !== UNIGRAM || fallback !== 0) {
			const got = `${kind} with byte_fallback ${fallback}`
			throw new ModelError(name, `expected model_type ${UNIGRAM} (Unigram) with byte_fallback 0, as T5 has it, got ${got}`)
		}
		const pieces = fields
			.filter(({ number, wire }) => number === MODEL.pieces && wire === 2)
			.map(({ from, to }) => {
				const parts = [...file.fields(from, to)]
				const piece = parts.find(({ number, wire }) => number === PIECE.piece && wire === 2)
				const score = parts.find(({ number, wire }) => number === PIECE.score && wire === 5)
				return [piece ? file.text(piece) : '', score ? bytes(score).readFloatLE() : 0] as const
			})
		const unknown = trainer.get(TRAINER.unknown) ?? 0
		if (unknown >= pieces.length) {
			throw new ModelError(name, `expected unk_id as the number of one of ${pieces.length} pieces, got ${unknown}`)
		}
		const charsmap = inside(MODEL.normalizer).find(({ number, wire }) => number === NORMALIZER.charsmap && wire === 2)
		return { pieces, unknown, charsmap: charsmap ? bytes(charsmap) : null }
	} finally {
		file.close()
	}
}
