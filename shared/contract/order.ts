import type { z } from 'zod'
import { GenerationRequest, type ResolvedRequest } from './generation.ts'
import { requestFor } from './request-for.ts'
import { Terms } from './terms.ts'

/** The body of `POST /v1/generations`: what is to be drawn, and the terms. */
export const GenerationOrder = GenerationRequest.extend(Terms.shape)
export type GenerationOrder = z.input<typeof GenerationOrder>

/** `requestFor`, and the terms beside it. */
export const orderFor = (...[model, options]: Parameters<typeof requestFor>) =>
	(requestFor(model, options) as unknown as z.ZodObject).safeExtend(Terms.shape) as unknown as z.ZodType<ResolvedRequest & Terms>

/** An order as its Account keeps it: the request alone says what is drawn. */
export interface Order {
	request: ResolvedRequest
	terms: Terms
}

export const takeApart = ({ priority, deadline, url_ttl, webhook, ...request }: ResolvedRequest & Terms): Order => ({
	request,
	terms: { priority, deadline, url_ttl, webhook }
})
