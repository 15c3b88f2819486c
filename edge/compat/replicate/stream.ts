import { followed } from '../../../shared/followed.ts'
import type { Env } from '../../env.ts'
import { outputUrl } from '../../routes/outputs.ts'
import type { Sent } from '../../sse.ts'

/**
 * A generation's events as Replicate's: `output` with a URL, `error` and `done` in JSON (https://replicate.com/docs/topics/predictions/streaming),
 * each with an id. Their clients refuse others: replicate-go's StreamPredictionFiles even `logs`, which some know.
 */
export async function* predictionEvents(env: Env, account: string, id: string): AsyncGenerator<Sent> {
	let number = 0
	const sent = (event: string, data: string): Sent => ({ id: `${id}:${number++}`, event, data })
	for await (const event of followed((lastId) => env.VIEWER.getByName(id).follow(account, id, lastId))) {
		switch (event.type) {
			case 'image':
				yield sent('output', outputUrl(env, event.image))
				break
			case 'end': {
				const { status, error } = event.generation
				if (status === 'failed') {
					yield sent('error', JSON.stringify({ detail: error?.detail ?? 'It failed.' }))
				}
				yield sent('done', JSON.stringify(status === 'succeeded' ? {} : { reason: status === 'failed' ? 'error' : 'canceled' }))
			}
		}
	}
}
