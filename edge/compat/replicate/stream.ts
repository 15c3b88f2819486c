import { followed } from '../../../shared/followed.ts'
import type { Env } from '../../env.ts'
import { promptly } from '../../promptly.ts'
import { outputUrl } from '../../routes/outputs.ts'
import type { Sent } from '../../sse.ts'

/** What a client that comes back to a generation has been told, by the id of the last event that it has seen: the numbers of pictures, `error`, `done`. */
export function toldBy(id: string, lastId = ''): Set<string> {
	const told = lastId.startsWith(`${id}:`) ? lastId.slice(id.length + 1).split('.') : []
	return new Set(told.filter((what) => /^(\d{1,2}|error|done)$/.test(what)))
}

/**
 * A generation's events as Replicate's: `output` with a URL, `error` and `done` in JSON (https://replicate.com/docs/topics/predictions/streaming),
 * each with an id. Their clients refuse others: replicate-go's StreamPredictionFiles even `logs`, which some know.
 *
 * Pictures come in the order in which they are delivered, which nobody remembers, so an id says itself what was told up to there.
 */
export async function* predictionEvents(env: Env, account: string, id: string, told: Set<string>): AsyncGenerator<Sent> {
	function* sent(what: string, event: string, data: string): Generator<Sent> {
		if (!told.has(what)) {
			told.add(what)
			yield { id: `${id}:${[...told].join('.')}`, event, data }
		}
	}
	const open = (lastId: string | undefined) => promptly(env.VIEWER.getByName(id).follow(account, id, lastId))
	for await (const event of followed(open)) {
		switch (event.type) {
			case 'image':
				yield* sent(String(event.image.n), 'output', outputUrl(env, event.image))
				break
			case 'end': {
				const { status, error } = event.generation
				if (status === 'failed') {
					yield* sent('error', 'error', JSON.stringify({ detail: error?.detail ?? 'It failed.' }))
				}
				const reason = status === 'failed' ? 'error' : 'canceled'
				yield* sent('done', 'done', JSON.stringify(status === 'succeeded' ? {} : { reason }))
			}
		}
	}
}
