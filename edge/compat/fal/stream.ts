import type { Generation } from '../../../shared/contract/generation.ts'
import { isTerminal } from '../../../shared/contract/generation.ts'
import type { Env } from '../../env.ts'
import type { Sent } from '../../sse.ts'
import type { Native } from '../native.ts'
import { failedOf } from './errors.ts'
import { developing, resultOf, statusOf } from './shapes.ts'

const sent = (data: object): Sent => ({ data: JSON.stringify(data) })

/** As it develops, in the result's own shape: what each event shows takes the place of the one before, and the last is the result. */
export async function* resultEvents(env: Env, native: Native, accepted: Generation): AsyncGenerator<Sent> {
	for await (const event of native.events(accepted.id)) {
		if (event.type === 'preview' || event.type === 'partial_image') {
			yield sent(developing(accepted, event))
		} else if (event.type === 'end') {
			const { generation } = event
			yield sent(generation.status === 'succeeded' ? resultOf(env, generation) : failedOf(generation).body)
		}
	}
}

/** Its status, and every change of it. */
export async function* statusEvents(native: Native, first: Generation, queue: string, withLogs: boolean): AsyncGenerator<Sent> {
	let generation = first
	const status = () => sent(statusOf(queue, generation, withLogs))
	if (isTerminal(generation.status)) {
		yield status()
		return
	}
	for await (const event of native.events(generation.id)) {
		if (event.type === 'status') {
			generation = { ...generation, status: event.status }
		} else if (event.type === 'queue') {
			generation = { ...generation, queue: { position: event.position, eta: event.eta } }
		} else if (event.type === 'progress') {
			generation = { ...generation, progress: { done: event.done, total: event.total } }
		} else if (event.type === 'end') {
			generation = event.generation
		} else {
			continue
		}
		yield status()
	}
}
