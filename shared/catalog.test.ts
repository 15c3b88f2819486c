import sharp from 'sharp'
import { expect, it } from 'vitest'
import { models } from './catalog.ts'
import { orderFor } from './contract/order.ts'
import { taskOf } from './contract/request-for.ts'

it.each(models.flatMap(({ id, examples = [] }) => examples.map(({ name }) => [id, name])))(
	'%s, %s: an example is what its model takes, and shows all of its map',
	async (id, name) => {
		const model = models.find((one) => one.id === id)!
		const body = { model: id, ...model.examples!.find((example) => example.name === name)!.request }
		// The playground takes the first task where none is named.
		const task = taskOf(model, body)
		expect(body.task ?? Object.keys(model.tasks)[0]).toBe(task)
		const { success, error } = orderFor(model, { task, stored: false }).safeParse(body)
		expect(error?.issues ?? []).toEqual([])
		expect(success).toBe(true)
		if (body.semantic_map) {
			const { width, height } = await sharp(Buffer.from(body.semantic_map.split(',')[1]!, 'base64')).metadata()
			// What an example does not tell the playground leaves as the model has it.
			expect([body.width ?? model.size.default, body.height ?? model.size.default]).toEqual([width, height])
		}
	}
)
