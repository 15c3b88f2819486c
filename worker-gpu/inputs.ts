import { findModel } from '../shared/catalog.ts'
import type { StartAnswer } from '../shared/contract/callbacks.ts'
import { type InputName, inputLimits } from '../shared/inputs.ts'
import { type Edge, EdgeRefused } from './edge.ts'
import { decodeInputs } from './image/decode.ts'
import { InputUnreadable } from './image/input-unreadable.ts'
import type { Rasters } from './image/raster.ts'

/** The inputs of a granted request, as the engine takes them. Throws `InputUnreadable` where a file is no picture. */
export async function readInputs({ request, inputs = {} }: StartAnswer, edge: Edge): Promise<Rasters> {
	const files = Object.entries(inputs).map(async ([name, url]) => {
		const bytes = await edge.read(url, inputLimits.bytes).catch((error) => {
			// Whoever asks next is told the same.
			throw error instanceof EdgeRefused ? new InputUnreadable(name as InputName, error.message) : error
		})
		return [name, bytes] as const
	})
	return decodeInputs(request, findModel(request.model)?.tasks ?? {}, Object.fromEntries(await Promise.all(files)))
}
