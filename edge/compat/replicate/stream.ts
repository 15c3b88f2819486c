import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { followed } from '../../../shared/followed.ts'
import type { App } from '../../app.ts'
import { outputUrl } from './outputs.ts'
import { progressLine } from './prediction.ts'

/**
 * A generation's events as Replicate's: `output` with a URL, `logs`, `error` and `done`, each with an id. Their clients know no others, and
 * replicate-python refuses any.
 */
export function streamPrediction(c: Context<App>, account: string, id: string): Response {
	const { env } = c.var
	c.header('cache-control', 'no-cache, no-transform')
	c.header('x-accel-buffering', 'no')
	return streamSSE(c, async (stream) => {
		let number = 0
		const send = (event: string, data: string) => stream.writeSSE({ id: `${id}:${number++}`, event, data })
		for await (const event of followed((lastId) => env.VIEWER.getByName(id).follow(account, id, lastId))) {
			if (stream.aborted) {
				return
			}
			switch (event.type) {
				case 'progress':
					await send('logs', progressLine(event.done, event.total))
					break
				case 'image':
					await send('output', outputUrl(env, event.image))
					break
				case 'end': {
					const { status, error } = event.generation
					if (status === 'failed') {
						await send('error', error?.detail ?? 'It failed.')
					}
					await send('done', JSON.stringify(status === 'succeeded' ? {} : { reason: status === 'failed' ? 'error' : 'canceled' }))
				}
			}
		}
	})
}
