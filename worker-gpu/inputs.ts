import { findModel } from '../shared/catalog.ts'
import type { StartAnswer } from '../shared/contract/callbacks.ts'
import { inputLimits } from '../shared/inputs.ts'
import type { Edge } from './edge.ts'
import { decodeInputs } from './image/decode.ts'
import type { Rasters } from './image/raster.ts'

/** The inputs of a granted request, as the engine takes them. Throws `InputUnreadable` where a file is no picture. */
export async function readInputs({ request, inputs = {} }: StartAnswer, edge: Edge): Promise<Rasters> {
	const files = Object.entries(inputs).map(async ([name, url]) => [name, await edge.read(url, inputLimits.bytes)])
	return decodeInputs(request, findModel(request.model)?.tasks ?? {}, Object.fromEntries(await Promise.all(files)))
}
