import type { Preview } from '../../../shared/contract/callbacks.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { isTerminal } from '../../../shared/contract/generation.ts'
import type { Problem } from '../../../shared/contract/problem.ts'
import { failureOf } from '../failure.ts'
import { theirName } from './input.ts'

/** `queue`: where the app's requests are for whoever asks. */
export function submitted(queue: string, id: string) {
	const url = `${queue}/requests/${id}`
	return { request_id: id, response_url: url, status_url: `${url}/status`, cancel_url: `${url}/cancel` }
}

export function statusOf(queue: string, generation: Generation, withLogs: boolean) {
	const { id, status, progress, created_at, started_at, completed_at } = generation
	const urls = submitted(queue, id)
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
		const ended = { status: 'COMPLETED', ...urls, logs, metrics: { inference_time: seconds(started_at, completed_at) } }
		return status === 'succeeded' ? ended : { ...ended, error: failureOf(generation).detail, error_type: status }
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
