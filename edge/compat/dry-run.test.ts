import { expect, it } from 'vitest'
import { get, newAccount, post } from '../testing.ts'

const order = { prompt: 'a red sphere' }
const target = (url: string) => ({ 'x-fal-target-url': url })

it.each<[string, object, Record<string, string>?]>([
	['/openai/v1/images/generations?dry_run=1', order],
	['/openai/v1/images/generations?dry_run=true', { ...order, stream: true }],
	['/openai/v1/images/edits?dry_run=1', { ...order, image: 'upl_00000000000000000000000000' }],
	['/replicate/v1/predictions?dry_run=1', { version: 'darkroom/scenes', input: order }],
	['/replicate/v1/models/darkroom/scenes/predictions?dry_run=1', { input: order }],
	['/replicate/v1/deployments/darkroom/scenes/predictions?dry_run', { input: order }],
	['/fal/run/darkroom/scenes?dry_run=1', order],
	['/fal/run/darkroom/scenes/stream?dry_run=1', order],
	['/fal/queue/darkroom/scenes?dry_run=1', order],
	['/fal/proxy', order, target('https://queue.fal.run/darkroom/scenes?dry_run=1')],
	['/fal/proxy', order, target('https://fal.run/darkroom/scenes?dry_run=1')]
])('orders nothing at %s', async (path, body, headers) => {
	const { key } = await newAccount()
	const answer = await post(path, key, body, headers)
	expect([answer.status >= 400 && answer.status < 500, await answer.text()]).toEqual([
		true,
		expect.stringContaining('dry_run: expected at POST /v1/generations alone')
	])
	expect(await (await get('/v1/generations', key)).json()).toMatchObject({ generations: [] })
})
