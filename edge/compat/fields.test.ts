import { describe, expect, it } from 'vitest'
import { fetchEdge, get, newAccount, post } from '../testing.ts'

const image = 'upl_00000000000000000000000000'
/** Ways to order with a field that there is not. In a literal `__proto__` were no field. */
const ways: Record<string, (key: string, name: string) => Promise<Response>> = {
	'OpenAI, JSON': (key, name) => post('/openai/v1/images/generations', key, `{"prompt":"x","${name}":{"count":4}}`),
	'OpenAI, an edit': (key, name) => post('/openai/v1/images/edits', key, `{"prompt":"x","image":"${image}","${name}":1}`),
	'OpenAI, a form'(key, name) {
		const body = new FormData()
		body.set('prompt', 'x')
		body.set('image', image)
		body.set(name, '1')
		return fetchEdge('/openai/v1/images/edits', { method: 'POST', headers: { authorization: `Bearer ${key}` }, body })
	},
	Replicate: (key, name) =>
		post('/replicate/v1/models/darkroom/scenes/predictions', key, `{"input":{"prompt":"x","${name}":{"count":4}}}`),
	fal: (key, name) => post('/fal/queue/darkroom/scenes', key, `{"prompt":"x","${name}":{"count":4}}`)
}

describe.each(Object.keys(ways))('%s', (way) => {
	it.each(['__proto__', 'constructor', 'prototype', 'toString'])('refuses a field %s by its name', async (name) => {
		const { key } = await newAccount()
		const answer = await ways[way]!(key, name)
		expect([answer.status, await answer.text()]).toEqual([
			expect.toBeOneOf([400, 422]),
			expect.stringContaining(`got the field \\"${name}\\"`)
		])
		expect(await (await get('/v1/generations', key)).json()).toMatchObject({ generations: [] })
	})
})
