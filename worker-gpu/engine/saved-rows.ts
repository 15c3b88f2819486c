import { createHash } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import { z } from 'zod'
import type { GeneratorState } from '../ldm/noise.ts'
import type { Plan, Row } from '../ldm/plan.ts'

/**
 * The rows of one request as bytes, from which they go on elsewhere to the same bits: latent, evaluations done, the sampler's memory and the
 * generator's state. What is no part of it, `start` makes again.
 *
 * MAGIC, SHA-256 of the rest, and the rest as V8 serialises it: typed arrays as they are, and every number exactly.
 */
const MAGIC = Buffer.from('darkroom rows 1\n')
const DIGEST = 32

const Latent = z.object({ data: z.instanceof(Float32Array), dims: z.array(z.int().min(1)) })
const SavedRow = z.object({
	n: z.int().min(0),
	k: z.int().min(0),
	x: Latent,
	history: z.unknown(),
	unshown: z.array(z.object({ k: z.int().min(1), x0: Latent })).optional(),
	noise: z.object({
		words: z.instanceof(Uint32Array).refine((words) => words.length === 624),
		index: z.int().min(0).max(624),
		cached: z.number().nullable()
	})
})
export type SavedRow = z.infer<typeof SavedRow>
const Saved = z.object({ origin: z.string(), rows: z.array(SavedRow) })

/** Bytes that are no rows, or those of other work. They are good for nothing, and do no harm. */
export class RowsRefused extends Error {
	override name = 'RowsRefused'
}

/** @param origin names the request, the model and what walks; rows go on only where it is the same */
export function saveRows(origin: string, rows: readonly { readonly n: number; readonly row: Row }[]): Uint8Array {
	const saved = rows.map(({ n, row: { x, k, history, unshown, noise } }) => ({ n, k, x, history, unshown, noise: noise.state }))
	const body = serialize({ origin, rows: saved })
	return Buffer.concat([MAGIC, createHash('sha256').update(body).digest(), body])
}

/** By the number of the picture. Throws `RowsRefused`, whatever the bytes are. */
export function readRows(origin: string, bytes: Uint8Array): Map<number, SavedRow> {
	const body = bytes.subarray(MAGIC.length + DIGEST)
	if (!MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
		throw new RowsRefused('expected saved rows, got other bytes')
	}
	if (
		!createHash('sha256')
			.update(body)
			.digest()
			.equals(bytes.subarray(MAGIC.length, MAGIC.length + DIGEST))
	) {
		throw new RowsRefused('expected saved rows, got damaged ones')
	}
	let saved: z.infer<typeof Saved>
	try {
		saved = Saved.parse(deserialize(body))
	} catch (error) {
		throw new RowsRefused('expected saved rows, got those of another version', { cause: error })
	}
	if (saved.origin !== origin) {
		throw new RowsRefused('expected rows of the same request, model and version, got others')
	}
	return new Map(saved.rows.map((row) => [row.n, row]))
}

/** Sets a row that has just been started to where a saved one was. */
export function restoreRow(row: Row, { x, k, history, unshown = [], noise }: SavedRow, { evaluations }: Plan): void {
	const { dims, data } = row.x
	const same = [x, ...unshown.map(({ x0 }) => x0)].every((z) => z.dims.join() === dims.join() && z.data.length === data.length)
	if (!same || k > evaluations) {
		throw new RowsRefused(`expected a latent [${row.x.dims}] and at most ${evaluations} evaluations, got [${x.dims}] and ${k}`)
	}
	row.x = x
	row.k = k
	row.history = history
	row.unshown = unshown
	Object.assign(row.noise.state, noise satisfies GeneratorState)
}
