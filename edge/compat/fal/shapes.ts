import type { Preview } from '../../../shared/contract/callbacks.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { isTerminal } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { failedOf } from './errors.ts'

/** `queue`: where the app's requests are for whoever asks. */
export function submitted(queue: string, id: string) {
	const url = `${queue}/requests/${id}`
	return { request_id: id, response_url: url, status_url: `${url}/status`, cancel_url: `${url}/cancel` }
}

export function statusOf(queue: string, generation: Generation, withLogs: boolean) {
	const { id, status, started_at, completed_at } = generation
	const urls = submitted(queue, id)
	const logs = withLogs ? logsOf(generation) : null
	if (isTerminal(status)) {
		const ended = { status: 'COMPLETED', ...urls, logs, metrics: { inference_time: seconds(started_at, completed_at) } }
		if (status === 'succeeded') {
			return ended
		}
		const { message: detail, error_type } = failedOf(generation).body
		return { ...ended, error: detail, error_type }
	}
	return status === 'queued'
		? { status: 'IN_QUEUE', ...urls, queue_position: generation.queue?.position ?? 0 }
		: { status: 'IN_PROGRESS', ...urls, logs }
}

/** How far it is; and its warnings, but not before it has ended: a stream of changes would repeat them with each. */
function logsOf({ progress, images, warnings, request, created_at, started_at, completed_at }: Generation) {
	const line = (level: 'INFO' | 'WARN', message: string, timestamp: string) => {
		// Where their clients for Java and Swift look for them.
		const labels = { level, source: 'USER' }
		return { message, timestamp, ...labels, labels }
	}
	if (completed_at) {
		const told = warnings.map(({ detail }) => line('WARN', detail, completed_at))
		return [...told, line('INFO', `${images.length}/${request.count} pictures`, completed_at)]
	}
	return progress ? [line('INFO', `${progress.done}/${progress.total} steps`, started_at ?? created_at)] : []
}

/** `base64`: each of its pictures, which its URL holds then. */
export function resultOf(env: Env, { images, request, started_at, completed_at }: Generation, base64?: string) {
	return {
		images: images.map((image) => {
			const { width, height, content_type } = image
			const url = base64 === undefined ? outputUrl(env, image) : `data:${content_type};base64,${base64}`
			return { url, width, height, content_type }
		}),
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

const seconds = (from: string | null, to: string | null) => (Date.parse(to ?? '') - Date.parse(from ?? to ?? '')) / 1_000 || 0
