import type { Generation } from '../../shared/contract/generation.ts'
import type { WebhookFormat } from '../../shared/contract/webhooks.ts'
import type { Env } from '../env.ts'
import { failedOf } from './fal/errors.ts'
import { resultOf } from './fal/shapes.ts'
import { signedByFal } from './fal/signature.ts'
import { outputOf, predictionOf } from './replicate/prediction.ts'

/** What is posted to a webhook that came through an adapter: the body that its vendor would post. */
export function foreignBody(
	env: Env,
	account: string,
	generation: Generation,
	format: Exclude<WebhookFormat, 'darkroom'>
): string {
	if (format === 'replicate') {
		return JSON.stringify({ ...predictionOf(env, account, generation), output: outputOf(env, generation) })
	}
	const { id, status } = generation
	const isGood = status === 'succeeded'
	const payload = isGood ? resultOf(env, generation) : failedOf(generation).body
	return JSON.stringify({
		request_id: id,
		gateway_request_id: id,
		status: isGood ? 'OK' : 'ERROR',
		payload,
		...('message' in payload && { error: payload.message })
	})
}

/** The headers beside Standard Webhooks', by which its vendor's receivers know it. Replicate's are the same as those. */
export const foreignHeaders = async (
	env: Env,
	account: string,
	generation: string,
	format: WebhookFormat,
	at: number,
	body: string
): Promise<Record<string, string>> => (format === 'fal' ? signedByFal(env, account, generation, at, body) : {})
