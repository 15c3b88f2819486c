import './page.css'
import type { Model } from '../../../shared/catalog.ts'
import { Darkroom, DarkroomError } from '../../../shared/client.ts'
import type { GenerationOrder } from '../../../shared/contract/order.ts'
import type { Task } from '../../../shared/tasks.ts'
import { key } from '../api.ts'
import { find, h } from '../h.ts'
import { signIn } from '../sign-in.ts'
import { develop } from './develop.ts'
import { openGallery } from './gallery.ts'
import { showInputs } from './inputs.ts'

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement

const form = find('order') as HTMLFormElement
const field = (name: string) => form.elements.namedItem(name) as Field
/** Milliseconds without a change after which the price is asked for. */
const pause = 400

signIn(async () => {
	const client = new Darkroom({ url: '', apiKey: key.get()! })
	const models = await client.models()
	const model = () => models.find(({ id }) => id === field('model').value) as Model
	let readInputs = async (): Promise<Partial<GenerationOrder>> => ({})

	field('model').replaceChildren(...models.map(({ id, name }) => h('option', { value: id }, name)))
	const chooseTask = () => {
		const task = field('task').value as Task
		readInputs = showInputs(model(), task)
		const { prompt, guidance, tasks } = model()
		show('prompt', prompt.max > 0)
		show('negative_prompt', prompt.negative)
		show('guidance', guidance.max > 1)
		show('width', task !== 'super-resolution')
		show('height', task !== 'super-resolution')
		const { strength } = (tasks[task] ?? {}) as { strength?: number }
		show('strength', strength !== undefined)
		field('strength').value = String(strength ?? '')
	}
	const chooseModel = () => {
		const { description, tasks, size, steps, guidance, count, samplers } = model()
		find('description').textContent = description
		field('task').replaceChildren(...Object.keys(tasks).map((task) => h('option', { value: task }, task)))
		field('task').parentElement!.hidden = Object.keys(tasks).length === 1
		field('sampler').replaceChildren(
			h('option', { value: '' }, "the model's own"),
			...samplers.map((name) => h('option', { value: name }, name))
		)
		limit('width', { ...size, step: size.multiple })
		limit('height', { ...size, step: size.multiple })
		limit('steps', steps)
		limit('guidance', guidance)
		limit('count', { ...count, min: 1 })
		chooseTask()
	}
	const order = async (): Promise<GenerationOrder> => {
		const given: Record<string, unknown> = {}
		for (const element of form.elements) {
			const { name, value, type } = element as Field
			// What is hidden does not belong to the task.
			if (name && value !== '' && !element.closest('[hidden]')) {
				given[name] = type === 'number' ? Number(value) : value
			}
		}
		return { ...(given as GenerationOrder), ...(await readInputs()) }
	}

	const price = async () => {
		try {
			const { cost, available } = await client.quote(await order())
			find('price').textContent = `Costs ${money(cost.total)} of ${money(available)}`
		} catch {
			// What is wrong is told when it is asked for.
			find('price').textContent = ''
		}
	}
	let timer: ReturnType<typeof setTimeout> | undefined
	form.addEventListener('input', () => {
		clearTimeout(timer)
		timer = setTimeout(price, pause)
	})

	const gallery = await openGallery(client, ({ seed, ...request }) => {
		for (const [name, value] of Object.entries({ ...request, seed })) {
			if (field(name)) {
				field(name).value = String(value ?? '')
			}
		}
		field('prompt').focus()
	})
	field('model').addEventListener('change', chooseModel)
	field('task').addEventListener('change', chooseTask)
	form.addEventListener('submit', async (event) => {
		event.preventDefault()
		find('trouble').textContent = ''
		try {
			const generation = await develop(client, await client.create(await order()))
			if (generation.images.length > 0) {
				gallery.add(generation)
			}
		} catch (error) {
			find('trouble').textContent = error instanceof DarkroomError ? error.message : 'The server cannot be reached.'
		}
	})
	chooseModel()
})

const show = (name: string, isShown: boolean) => {
	const label = form.querySelector<HTMLElement>(`[data-field="${name}"]`)
	if (label) {
		label.hidden = !isShown
	}
}

function limit(
	name: string,
	{ min, max, step = 1, default: value }: { min: number; max: number; step?: number; default: number }
) {
	const input = field(name) as HTMLInputElement
	Object.assign(input, { min, max, value, ...(name !== 'guidance' && { step }) })
}

/** Micro-units as units. */
const money = (micro: number): string => (micro / 1_000_000).toLocaleString('en', { maximumFractionDigits: 6 })
