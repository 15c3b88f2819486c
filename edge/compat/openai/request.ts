import { z } from 'zod'
import { findModel, type Model, models } from '../../../shared/catalog.ts'
import { parse } from '../../issues.ts'
import { Fields } from '../fields.ts'
import { nearestSize, sizeIn } from '../size.ts'

/** What is OpenAI's alone, or has another meaning there. Every other field is the native API's to judge. */
const ImagesRequest = z.object({
	model: z.string().optional(),
	size: z
		.string()
		.refine((size) => size === 'auto' || sizeIn(size), 'auto, or a size such as 1024x768')
		.optional(),
	quality: z.enum(['auto', 'low', 'medium', 'standard', 'high', 'hd', 'xhigh', 'max']).optional(),
	response_format: z.enum(['url', 'b64_json']).optional(),
	output_format: z.string().optional(),
	output_compression: z.int().min(0).max(100).optional(),
	background: z
		.string()
		.refine((background) => ['auto', 'opaque'].includes(background), 'auto or opaque: pictures have no transparent parts')
		.optional(),
	stream: z.boolean().optional(),
	partial_images: z.int().min(0).max(3).optional()
})

export const theirFields = Object.keys(ImagesRequest.shape)

/** Native fields by OpenAI's name, or by diffusers', as other servers of this shape have them (vLLM-Omni, SiliconFlow). */
const names = new Map([
	['n', 'count'],
	['num_inference_steps', 'steps'],
	['guidance_scale', 'guidance']
])
export const nativeName = (field: string): string => names.get(field) ?? field

/** Of their fields, those that mean nothing here. `prompt_enhancement` is SiliconFlow's, which Cherry Studio sends to whatever has this shape. */
const meaningless = new Set([
	'complexity',
	'input_fidelity',
	'moderation',
	'prompt_enhancement',
	'safety_identifier',
	'style',
	'user'
])

/** How the answer is to look. */
export interface Wanted {
	as: ('url' | 'b64_json')[]
	quality: string
	isStream: boolean
}

/** OpenAI's own models; here they mean the first model of the catalog, and their sizes the nearest that it has. */
const isTheirs = (name: string) => /^(dall-e-|gpt-image|chatgpt-image)/.test(name)

/** The model that a name means in a request, where it means one. */
export const modelMeant = (name: string): Model | undefined => (isTheirs(name) ? models[0] : findModel(name))

/**
 * Where nothing is asked for, OpenAI's older models answer with URLs and the others with base64. Clients know which of them they ask; of a model of ours
 * they expect the one or the other (the AI SDK's edits base64, LangChain's tool URLs).
 */
const formatsOf = (model: string): Wanted['as'] =>
	model.startsWith('dall-e-') ? ['url'] : isTheirs(model) ? ['b64_json'] : ['url', 'b64_json']

/**
 * OpenAI's fields as a native request; an absent field and a null one are the same to their clients. A `deployment` is what draws,
 * and the body's model what the client takes it for.
 */
export function readImagesRequest(body: unknown, deployment?: string): { order: Record<string, unknown>; wanted: Wanted } {
	const given = Object.fromEntries(Object.entries(parse(Fields, body)).filter(([, value]) => value !== null))
	const {
		model: name = deployment ?? 'dall-e-2',
		size = 'auto',
		quality = 'auto',
		response_format,
		output_format,
		output_compression,
		stream = false,
		partial_images
	} = parse(ImagesRequest, given)
	const others = Object.entries(given)
		.filter(([field]) => !theirFields.includes(field) && !meaningless.has(field))
		.map(([field, value]) => [nativeName(field), value])
	const named = deployment ?? name
	const meant = modelMeant(named)
	const model = meant?.id ?? named
	const exact = sizeIn(size)
	const isLossy = output_format !== undefined && output_format !== 'png'
	return {
		order: {
			model,
			...(meant && exact && isTheirs(name) ? nearestSize(meant, exact) : exact),
			...stepsFor(quality, model),
			...(output_format !== undefined && { output_format }),
			...(isLossy && output_compression !== undefined && { output_quality: Math.max(1, output_compression) }),
			...(stream && { partial_images }),
			...Object.fromEntries(others)
		},
		wanted: {
			as: response_format ? [response_format] : formatsOf(name),
			quality: toldAs[quality] ?? quality,
			isStream: stream
		}
	}
}

/** Their answers name none of these: clients made of their OpenAPI document refuse them. */
const toldAs: Partial<Record<string, string>> = { auto: 'medium', standard: 'medium', hd: 'high' }

/** Half the model's usual steps, or two to four times as many; as many as usual where nothing else is asked for. */
function stepsFor(quality: string, name: string): { steps?: number } {
	const steps = findModel(name)?.steps
	const factor = { low: 0.5, high: 2, hd: 2, xhigh: 3, max: 4 }[quality]
	return steps && factor ? { steps: Math.min(steps.max, Math.max(steps.min, Math.round(steps.default * factor))) } : {}
}
