import { expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../infra/ports.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { startBareEdge } from '../edge.ts'
import { Inspector } from '../inspector.ts'

it('nothing of an order is left in the isolate once it has reached the queue and has ended', async () => {
	const inspectorPort = await freePort()
	const edge = await startBareEdge({ inspectorPort })
	onTestFinished(() => edge.close())
	const key = await edge.key('many')
	const inspector = await Inspector.connect(inspectorPort)
	onTestFinished(() => inspector.close())
	const post = async (path: string, body: object = {}) => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
		return (await (await fetch(edge.url + path, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Generation
	}
	const orderMany = async () => {
		for (let i = 0; i < 30; i++) {
			const { id } = await post('/v1/generations', { model: 'scenes', prompt: 'a red sphere' })
			expect(await edge.takeJob()).toMatchObject({ generation: id })
			await post(`/v1/generations/${id}/cancel`)
		}
	}
	const promises = () => inspector.count('Promise', async () => (await fetch(`${edge.url}/health`)).text())
	await orderMany()
	const before = await promises()
	await orderMany()
	expect(await promises()).toBeLessThan(before + 15)
})
