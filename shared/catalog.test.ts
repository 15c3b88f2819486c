import { expect, it } from 'vitest'
import { models } from './catalog.ts'
import { orderFor } from './contract/order.ts'
import { taskOf } from './contract/request-for.ts'

it.each(models.flatMap(({ id, examples = [] }) => examples.map(({ name }) => [id, name])))(
	'%s, %s: an example is what its model takes',
	(id, name) => {
		const model = models.find((one) => one.id === id)!
		const body = { model: id, ...model.examples!.find((example) => example.name === name)!.request }
		const { success, error } = orderFor(model, { task: taskOf(model, body), stored: false }).safeParse(body)
		expect(error?.issues ?? []).toEqual([])
		expect(success).toBe(true)
	}
)
