import { findModel } from '../../../shared/catalog.ts'
import { type Generation, isTerminal, type Status } from '../../../shared/contract/generation.ts'
import { week } from '../../../shared/contract/terms.ts'
import type { Env } from '../../env.ts'
import { hmac } from '../../hmac.ts'
import { outputUrl } from '../../routes/outputs.ts'
import { fromNative } from './input.ts'
import { owner, versionOf } from './models.ts'

/** Where this adapter is mounted; Replicate's clients take the part before /v1, or the whole, for their base URL. */
export const base = '/replicate/v1'

/** Clients wait for ever on `aborted`, which they do not know (replicate/replicate-python#460). */
const statuses: Record<Status, string> = {
	queued: 'starting',
	processing: 'processing',
	succeeded: 'succeeded',
	failed: 'failed',
	canceled: 'canceled',
	expired: 'canceled'
}

/** The right to follow one generation `until` a time in seconds: their clients ask for the stream without a key. */
export const streamToken = (env: Env, account: string, id: string, until: string): string =>
	hmac(env.DARKROOM_SECRET, 'stream', account, id, until)

/** Good for a week, as long as work may wait for a node; whoever asks for the prediction gets a new one. */
function streamUrl(env: Env, account: string, id: string): string {
	const until = String(Math.floor(Date.now() / 1_000) + week)
	const query = new URLSearchParams({ until, token: streamToken(env, account, id, until) })
	return `${env.PUBLIC_ORIGIN}${base}/streams/${account}/${id}?${query}`
}

/** The pictures that there are by now. */
export const outputOf = (env: Env, { images }: Generation): string[] | null =>
	images.length > 0 ? images.map((image) => outputUrl(env, image)) : null

export function predictionOf(env: Env, account: string, generation: Generation) {
	const { id, status, request, error, deadline, created_at, started_at, completed_at } = generation
	const url = `${env.PUBLIC_ORIGIN}${base}/predictions/${id}`
	const model = findModel(request.model)
	return {
		id,
		model: `${owner}/${request.model}`,
		version: model ? versionOf(model) : 'hidden',
		input: fromNative(request),
		// All or none: the AI SDK takes any for all.
		output: isTerminal(status) ? outputOf(env, generation) : null,
		logs: logsOf(generation),
		error: error?.detail ?? (status === 'expired' ? 'The deadline had passed.' : null),
		status: statuses[status],
		source: 'api',
		...(deadline && { deadline }),
		data_removed: false,
		metrics: isTerminal(status) ? metricsOf(generation) : {},
		created_at,
		...(started_at && { started_at }),
		...(completed_at && { completed_at }),
		urls: {
			get: url,
			cancel: `${url}/cancel`,
			stream: streamUrl(env, account, id),
			web: env.PUBLIC_ORIGIN
		}
	}
}

function metricsOf({ created_at, started_at, completed_at }: Generation) {
	const end = Date.parse(completed_at ?? created_at)
	const secondsSince = (time: string) => (end - Date.parse(time)) / 1_000
	return { total_time: secondsSince(created_at), ...(started_at && { predict_time: secondsSince(started_at) }) }
}

function logsOf({ status, request, progress, warnings }: Generation): string {
	const seed = `Using seed: ${request.seed}\n`
	if (status === 'queued') {
		return ''
	}
	const told = warnings.map(({ detail }) => `Warning: ${detail}\n`).join('')
	const total = progress?.total ?? request.steps * request.count
	return `${seed}${told}${progressLine(status === 'succeeded' ? total : (progress?.done ?? 0), total)}`
}

/** A line as tqdm writes it, from which clients read the progress: `/^\s*(\d+)%\s*\|.+?\|\s*(\d+)\/(\d+)/`. */
function progressLine(done: number, total: number): string {
	const part = done / total
	const bar = '█'.repeat(Math.floor(part * 10)).padEnd(10, ' ')
	return `${String(Math.floor(part * 100)).padStart(3)}%|${bar}| ${done}/${total}\n`
}
