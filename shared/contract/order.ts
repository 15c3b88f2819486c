import type { z } from 'zod'
import type { Model } from '../catalog.ts'
import { GenerationRequest, type ResolvedRequest } from './generation.ts'
import { requestFor } from './request-for.ts'
import { Terms } from './terms.ts'

/** The body of `POST /v1/generations`: what is to be drawn, and the terms. */
export const GenerationOrder = GenerationRequest.extend(Terms.shape)
export type GenerationOrder = z.input<typeof GenerationOrder>

type OrderSchema = z.ZodType<ResolvedRequest & Terms>
type Options = NonNullable<Parameters<typeof requestFor>[1]>

/** Making a schema takes many times as long as parsing by it. */
const made = new WeakMap<Model, Map<string, OrderSchema>>()

/** `requestFor`, and the terms beside it. */
export function orderFor(model: Model, options: Options = {}): OrderSchema {
	const { task, stored, image } = options
	// Of an image's size there are too many to keep.
	if (image) {
		return make(model, options)
	}
	const schemas = made.get(model) ?? new Map<string, OrderSchema>()
	made.set(model, schemas)
	const name = `${task} ${stored}`
	const schema = schemas.get(name) ?? make(model, options)
	schemas.set(name, schema)
	return schema
}

const make = (model: Model, options: Options) =>
	(requestFor(model, options) as unknown as z.ZodObject).safeExtend(Terms.shape) as unknown as OrderSchema

/** An order as its Account keeps it: the request alone says what is drawn. */
export interface Order {
	request: ResolvedRequest
	terms: Terms
}

export const takeApart = ({
	priority,
	deadline,
	start_deadline,
	url_ttl,
	webhook,
	...request
}: ResolvedRequest & Terms): Order => ({
	request,
	terms: { priority, deadline, start_deadline, url_ttl, webhook }
})
