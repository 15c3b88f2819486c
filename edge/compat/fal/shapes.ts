import type { Preview } from '../../../shared/contract/callbacks.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { isTerminal } from '../../../shared/contract/generation.ts'
import type { Problem } from '../../../shared/contract/problem.ts'
import { theirName } from './input.ts'

/** Their URLs, for their client calls no others; through the proxy they come back here. */
export function submitted(app: string, id: string) {
	const url = `https://queue.fal.run/${app}/requests/${id}`
	return { request_id: id, response_url: url, status_url: `${url}/status`, cancel_url: `${url}/cancel` }
}

export function statusOf(app: string, generation: Generation, withLogs: boolean) {
	const { id, status, progress, created_at, started_at, completed_at } = generation
	const urls = submitted(app, id)
	const logs = withLogs
		? progress
			? [
					{
						message: `${progress.done}/${progress.total} steps`,
						level: 'INFO',
						source: 'USER',
						timestamp: started_at ?? created_at
					}
				]
			: []
		: null
	if (isTerminal(status)) {
		return { status: 'COMPLETED', ...urls, logs, metrics: { inference_time: seconds(started_at, completed_at) } }
	}
	return status === 'queued'
		? { status: 'IN_QUEUE', ...urls, queue_position: generation.queue?.position ?? 0 }
		: { status: 'IN_PROGRESS', ...urls, logs }
}

export function resultOf({ images, request, started_at, completed_at }: Generation) {
	return {
		images: images.map(({ url, width, height, content_type }) => ({ url, width, height, content_type })),
		seed: request.seed,
		has_nsfw_concepts: images.map(() => false),
		prompt: request.prompt,
		timings: { inference: seconds(started_at, completed_at) }
	}
}

/** A result on its way: one picture as it looks by now. */
export function developing({ request }: Generation, { data, content_type }: Preview) {
	const { width, height, seed, prompt } = request
	return { images: [{ url: `data:${content_type};base64,${data}`, width, height, content_type }], seed, prompt }
}

/** 422 has FastAPI's shape, from which their client makes a ValidationError; the others a message. */
export function errorOf({ status, detail, errors }: Problem): object {
	if (status !== 422) {
		return { message: detail, detail }
	}
	const fields = errors?.map(({ pointer, expected, received }) => ({
		loc: ['body', ...pointer.split('/').slice(1).map(theirName)],
		msg: `Expected ${expected}, got ${received}`,
		type: 'value_error'
	}))
	return { detail: fields ?? [{ loc: ['body'], msg: detail, type: 'value_error' }] }
}

const seconds = (from: string | null, to: string | null) => (Date.parse(to ?? '') - Date.parse(from ?? to ?? '')) / 1_000 || 0
