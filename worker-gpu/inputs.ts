import { findModel } from '../shared/catalog.ts'
import type { StartAnswer } from '../shared/contract/callbacks.ts'
import { inputLimits } from '../shared/input-limits.ts'
import type { InputName } from '../shared/inputs.ts'
import type { Edge } from './edge.ts'
import { EdgeRefused } from './edge-errors.ts'
import { decodeInputs } from './image/decode.ts'
import { InputUnreadable } from './image/input-unreadable.ts'
import type { Rasters } from './image/raster.ts'

/** Of what is not there, or too large, whoever asks next is told the same; other refusals (a signature's) pass. */
const lasting = new Set([404, 413])

/** The inputs of a granted request, as the engine takes them. Throws `InputUnreadable` where a file is no picture. */
export async function readInputs({ request, inputs = {} }: StartAnswer, read: Edge['read']): Promise<Rasters> {
	const files = Object.entries(inputs).map(async ([name, url]) => {
		const bytes = await read(url, inputLimits.bytes).catch((error) => {
			const isLasting = error instanceof EdgeRefused && lasting.has(error.status)
			throw isLasting ? new InputUnreadable(name as InputName, error.message) : error
		})
		return [name, bytes] as const
	})
	return decodeInputs(request, findModel(request.model)?.tasks ?? {}, Object.fromEntries(await Promise.all(files)))
}
