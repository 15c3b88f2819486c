import { inject } from 'vitest'
import type { Plan, Received } from '../test/receivers.ts'

/** A receiver outside, by its name: what it is called at, how it behaves, what has come to it. */
export function receiver(name: string, origin: 'url' | 'other' = 'url') {
	const url = `${inject('receivers')[origin]}/${name}`
	return {
		url,
		plan: async (plan: Plan) => void (await (await fetch(`${url}/plan`, { method: 'PUT', body: JSON.stringify(plan) })).text()),
		letters: async () => (await fetch(`${url}/letters`)).json<Received[]>()
	}
}
