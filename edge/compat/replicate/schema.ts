import { z } from 'zod'
import type { Model } from '../../../shared/catalog.ts'
import { GenerationRequest } from '../../../shared/contract/generation.ts'
import { requestFor } from '../../../shared/contract/request-for.ts'
import { InputName } from '../../../shared/inputs.ts'
import type { Task } from '../../../shared/tasks.ts'
import { theirName } from './input.ts'

type Property = z.core.JSONSchema.BaseSchema

/** What absent ones are is not known before: a seed is drawn, and a size may be that of the image. */
const isOpen = new Set<string>(['seed', 'width', 'height'])

const made = new WeakMap<Model, object>()

/**
 * The `Input` of a model's OpenAPI schema as cog writes it, from which programs make forms, nodes and calls (replicate/comfyui-replicate, LangChain's
 * Replicate): properties of one type each, in order, with limits and defaults. It has the fields of all of the model's tasks; those are required that
 * every task needs.
 */
export function inputSchema(model: Model): object {
	const schema = made.get(model) ?? make(model)
	made.set(model, schema)
	return schema
}

function make(model: Model): object {
	const schemas = (Object.keys(model.tasks) as Task[]).map((task) =>
		z.toJSONSchema(requestFor(model, { task, stored: false }), { io: 'input', unrepresentable: 'any' })
	)
	// Of fields that several tasks have, the first task's, which is drawn where nothing else is asked for.
	const properties: Record<string, Property> = Object.assign({}, ...schemas.toReversed().map((schema) => schema.properties))
	const fields = GenerationRequest.keyof().options.filter((name) => properties[name] && isTold(model, name))
	return {
		type: 'object',
		title: 'Input',
		properties: Object.fromEntries(
			fields.map((name, order) => [theirName(name), { ...propertyOf(model, name, properties[name]!), 'x-order': order }])
		),
		required: fields.filter((name) => schemas.every(({ required }) => required?.includes(name))).map(theirName)
	}
}

/** A task follows from the other fields, and no stream of theirs holds partial images. */
const isTold = ({ prompt }: Model, name: string) =>
	!['model', 'task', 'partial_images'].includes(name) && (name !== 'prompt' || prompt.max > 0)

function propertyOf({ tasks }: Model, name: keyof GenerationRequest, told: Property): Record<string, unknown> {
	const { default: usual, anyOf, ...schema } = told
	const { description } = GenerationRequest.shape[name]
	const title = theirName(name).replaceAll('_', ' ')
	const classes = tasks['class-conditional']?.classes
	return {
		title: title[0]!.toUpperCase() + title.slice(1),
		...(description && { description }),
		...(anyOf?.find(({ type }) => type !== 'null') ?? schema),
		...(name === 'class_label' && { type: 'string', enum: classes }),
		...(InputName.safeParse(name).success && { format: 'uri' }),
		// Null is as good as absent.
		...(usual !== null && usual !== undefined && !isOpen.has(name) && { default: usual })
	}
}
