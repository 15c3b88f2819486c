import './page.css'
import type { Model } from '../../../shared/catalog.ts'
import { Darkroom } from '../../../shared/client.ts'
import type { GenerationRequest } from '../../../shared/contract/generation.ts'
import type { GenerationOrder } from '../../../shared/contract/order.ts'
import { newId } from '../../../shared/ids.ts'
import type { Task } from '../../../shared/tasks.ts'
import { key } from '../api.ts'
import { attempt, Missing } from '../attempt.ts'
import { money } from '../format.ts'
import { find, h } from '../h.ts'
import { signIn } from '../sign-in.ts'
import { develop, isUnderWay } from './develop.ts'
import { hangGallery } from './gallery.ts'
import { type Given, showInputs } from './inputs.ts'
import { takePictures } from './take.ts'

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement

const form = find('order') as HTMLFormElement
const field = (name: string) => form.elements.namedItem(name) as Field
/** Milliseconds without a change after which the price is asked for. */
const pause = 400
/** Generations under way that are taken up again when the page is opened. */
const mostResumed = 4
/** Where the form is kept until the tab is closed. */
const slot = 'darkroom-order'

/** Needs no key, and comes while that is looked at; where it does not, it is asked for again. */
const early = new Darkroom({ url: '', apiKey: '' }).models().catch(() => undefined)

signIn(async () => {
	const client = new Darkroom({ url: '', apiKey: key.get()! })
	const models = (await early) ?? (await client.models())
	find('bench').hidden = false
	const model = () => models.find(({ id }) => id === field('model').value) as Model
	let readInputs: ReturnType<typeof showInputs> = async () => ({ fields: {} })

	const chooseTask = (given: Given = {}): void => {
		const task = field('task').value as Task
		readInputs = showInputs(model(), task, given)
		const { prompt, guidance, tasks } = model()
		show('prompt', prompt.max > 0)
		field('prompt').required = task === 'text-to-image'
		show('negative_prompt', prompt.negative)
		show('guidance', guidance.max > 1)
		show('guidance_rescale', guidance.max > 1)
		// Such a picture is as large as what it is made from.
		for (const side of ['width', 'height']) {
			show(side, !['super-resolution', 'image-to-image', 'inpainting'].includes(task))
		}
		const { strength } = (tasks[task] ?? {}) as { strength?: number }
		show('strength', strength !== undefined)
		field('strength').value = String(strength ?? '')
	}
	const chooseModel = () => {
		const { description, tasks, size, steps, guidance, count, samplers, examples = [] } = model()
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
		find('examples').replaceChildren(
			...examples.map(({ name, request }) => h('button', { type: 'button', class: 'chip', click: () => fill(request) }, name))
		)
		chooseTask()
	}
	/** Puts a request into the form, and leaves what it does not tell as the model has it. */
	const fill = (request: Partial<GenerationRequest>) => {
		const { model: id, task, ...fields } = request
		// What is in the gallery may be of a model that is gone, or of a task that it had.
		if (id && models.some((one) => one.id === id)) {
			field('model').value = id
		}
		chooseModel()
		field('task').value = task && model().tasks[task] ? task : Object.keys(model().tasks)[0]!
		chooseTask(request)
		for (const name of ['prompt', 'negative_prompt', 'seed', 'sampler', 'eta', 'guidance_rescale', 'output_quality'] as const) {
			field(name).value = String(fields[name] ?? '')
		}
		for (const [name, value] of Object.entries(fields)) {
			// Not all that a request has is a field of the form.
			const element = form.elements.namedItem(name) as Field | null
			if (element && value !== null && value !== undefined) {
				element.value = String(value)
			}
		}
		form.dispatchEvent(new Event('input'))
	}
	/** The example whose prompt stands there. */
	const shown = () => {
		const { value } = field('prompt')
		return models.flatMap(({ examples = [] }) => examples).find(({ request }) => request.prompt === value)?.request
	}
	/** The prompt and its seed, if it is no example: nobody wants to type them again. */
	const own = (): Partial<GenerationRequest> => {
		const { value: prompt } = field('prompt')
		const { value: seed } = field('seed')
		return prompt === '' || shown() ? {} : { prompt, seed: seed === '' ? undefined : Number(seed) }
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
		return { ...(given as GenerationOrder), ...(await readInputs()).fields }
	}

	/** For whoever comes back to the page. There may be no room for pictures. */
	const keep = async () => {
		const whole = await order()
		const { image, mask, semantic_map, control_image, ...words } = whole
		try {
			sessionStorage.setItem(slot, JSON.stringify(whole))
		} catch {
			sessionStorage.setItem(slot, JSON.stringify(words))
		}
	}

	/** What a price was asked for last, but for what none follows from. */
	let priced: { by: string; total: Promise<number> } | undefined
	/** An image may be large: it is not sent again for each word of the prompt, nor each stroke of the mask. */
	const totalOf = (whole: GenerationOrder): Promise<number> => {
		const { prompt: _, negative_prompt: __, seed: ___, mask: ____, ...rest } = whole
		const by = JSON.stringify(rest)
		if (priced?.by !== by) {
			priced = { by, total: client.quote(whole).then(({ cost }) => cost.total) }
			// What was refused for its words may be taken with others.
			priced.total.catch(() => {
				priced = undefined
			})
		}
		return priced.total
	}
	/** Answers may overtake each other: only the latest question's counts. */
	let question = 0
	const price = async () => {
		if (isAsking) {
			return // What is asked for comes first, and its price thereafter.
		}
		const mine = ++question
		// What is not whole yet would be refused; what else is wrong is told when it is asked for.
		if (!form.checkValidity() || (await readInputs()).missing) {
			find('price').textContent = ''
			return
		}
		const told = await Promise.all([totalOf(await order()), client.account()]).then(
			([total, { balance }]) => {
				const between = total > balance.available ? ', more than your' : ' of'
				return `Costs ${money(total)}${between} ${money(balance.available)}`
			},
			() => ''
		)
		if (mine === question) {
			find('price').textContent = told
		}
	}
	// A browser points out what is wrong, where it can be seen.
	const finer = find('finer') as HTMLDetailsElement
	finer.addEventListener('invalid', () => (finer.open = true), true)
	let timer: ReturnType<typeof setTimeout> | undefined
	form.addEventListener('input', () => {
		find('trouble').textContent = '' // It was with what was asked for before.
		show('eta', field('sampler').value === 'ddim')
		show('output_quality', field('output_format').value !== 'png')
		clearTimeout(timer)
		timer = setTimeout(() => {
			void keep()
			void price()
		}, pause)
	})
	// Whoever leaves at once has typed it all the same; who has the key forgotten, wants nothing kept.
	addEventListener('pagehide', () => key.get() && void keep())
	// An example's seed is for its prompt alone: of another, each order draws another picture.
	field('prompt').addEventListener('beforeinput', () => {
		if (field('seed').value === String(shown()?.seed)) {
			field('seed').value = ''
		}
	})
	field('prompt').addEventListener('keydown', (event) => {
		const { key, ctrlKey, metaKey } = event as KeyboardEvent
		if (key === 'Enter' && (ctrlKey || metaKey)) {
			form.requestSubmit()
		}
	})

	field('model').replaceChildren(...models.map(({ id, name }) => h('option', { value: id }, name)))
	const example = () => model().examples?.[0]?.request ?? {}
	field('model').addEventListener('change', () => fill({ ...example(), ...own() }))
	field('task').addEventListener('change', async () => chooseTask((await readInputs()).fields))
	fill(kept() ?? example())

	const begin = (request: Partial<GenerationRequest>) => {
		fill(request)
		form.scrollIntoView({ block: 'nearest' })
		// Some models take none.
		field(field('prompt').disabled ? 'model' : 'prompt').focus({ preventScroll: true })
	}
	const gallery = hangGallery(client, models, begin)
	const follow = async (start: () => Promise<Parameters<typeof develop>[1]>) => {
		await attempt(find('trouble'), async () => {
			await develop(client, await start(), gallery.add)
			await price()
		})
	}
	// Where the answer takes long, whoever presses the button again would order twice.
	let isAsking = false
	/** What was asked for last, until it is answered: it may be ordered by then, and asked for again it is the same order. */
	let unanswered: { by: string; idempotencyKey: string } | undefined
	const ask = async () => {
		isAsking = true
		question++
		find('price').textContent = 'Asking…'
		try {
			const { missing } = await readInputs()
			if (missing) {
				throw new Missing(missing)
			}
			const whole = await order()
			const by = JSON.stringify(whole)
			if (unanswered?.by !== by) {
				unanswered = { by, idempotencyKey: newId('order') }
			}
			const accepted = await client.create(whole, unanswered.idempotencyKey)
			unanswered = undefined
			return accepted
		} finally {
			isAsking = false
			void price() // In place of "Asking…", whatever came of it.
		}
	}
	takePictures(() => {
		const task = (['image-to-image', 'inpainting', 'super-resolution'] as const).find((one) => model().tasks[one])
		if (task) {
			field('task').value = task
			chooseTask()
		}
	})
	form.addEventListener('submit', (event) => {
		event.preventDefault()
		if (!isAsking) {
			void follow(ask)
		}
	})
	const latest = await gallery.show()
	// What was under way when the page was left is shown again; of many the newest, for each holds one of the few connections that a browser makes.
	for (const generation of latest.filter(isUnderWay).slice(0, mostResumed).reverse()) {
		void follow(async () => generation)
	}
})

function kept(): Partial<GenerationRequest> | undefined {
	const text = sessionStorage.getItem(slot)
	return text === null ? undefined : JSON.parse(text)
}

const show = (name: string, isShown: boolean) => {
	const label = form.querySelector<HTMLElement>(`[data-field="${name}"]`)
	if (label) {
		label.hidden = !isShown
		// Nobody can mend what is wrong with a field that is not there.
		field(name).disabled = !isShown
	}
}

function limit(
	name: string,
	{ min, max, step = 1, default: value }: { min: number; max: number; step?: number; default: number }
) {
	const input = field(name) as HTMLInputElement
	Object.assign(input, { min, max, value, ...(name !== 'guidance' && { step }) })
}
