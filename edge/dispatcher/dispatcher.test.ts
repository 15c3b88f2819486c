import { expect, it } from 'vitest'
import { env } from '../testing.ts'
import { dispatcherOf } from './dispatcher.ts'

it('takes jobs of a model whatever that is called', async () => {
	const job = { generation: 'gen_1', epoch: 1, callback: 'http://edge.test/callbacks/a', token: 'x' }
	const batch = new Map(['scenes', 'constructor'].map((model) => [model, [{ job, place: 1, isRaised: false }]]))
	// Of the tests' queue, which there is not.
	expect(await dispatcherOf(env, 'anyone').enqueue(batch)).toMatch(/connect/)
})
