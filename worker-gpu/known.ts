import { findModel } from '../shared/catalog.ts'
import type { ResolvedRequest } from '../shared/contract/generation.ts'
import { requestFor } from '../shared/contract/request-for.ts'
import { RequestUnknown } from './edge-errors.ts'

/**
 * Throws `RequestUnknown` of a task or a field that this node's catalog does not have of the model: the model was imported anew since, and the one
 * that is here would draw without it. Limits are the edge's to say, as they were when the order was accepted.
 */
export function expectKnown(request: ResolvedRequest): void {
	const model = findModel(request.model)
	if (!model) {
		return
	}
	const task = request.task ?? 'text-to-image'
	const given = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== null))
	const { error } = requestFor(model, { task }).safeParse(given)
	const fields = error?.issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys : []))
	const strange = model.tasks[task] ? fields?.[0] : `task (${task})`
	if (strange !== undefined) {
		throw new RequestUnknown(`expected work that this node's catalog has of ${model.id}, got another ${strange}`)
	}
}
