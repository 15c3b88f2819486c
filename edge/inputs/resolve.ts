import { findModel, type Model, models } from '../../shared/catalog.ts'
import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import { GenerationOrder, type Order, orderFor, takeApart } from '../../shared/contract/order.ts'
import { taskOf } from '../../shared/contract/request-for.ts'
import type { Terms } from '../../shared/contract/terms.ts'
import { newId } from '../../shared/ids.ts'
import { inputLimits } from '../../shared/input-limits.ts'
import { InputName, type Size } from '../../shared/inputs.ts'
import { enlargeable } from '../../shared/size.ts'
import type { Task } from '../../shared/tasks.ts'
import type { Env } from '../env.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { Held } from '../held.ts'
import { describe, parse } from '../issues.ts'
import type { Key } from '../keys.ts'
import { refuse } from '../refuse.ts'
import { decode } from './data-uri.ts'
import { fetchInput } from './fetch.ts'
import { Given } from './given.ts'
import type { Inspected } from './inspect.ts'
import { look, pixels } from './look.ts'
import { findInput, storeInput } from './store.ts'
import { warningsOf } from './warnings.ts'

type Fields = Readonly<Record<string, unknown>>

const nullable = new Set(
	Object.entries(GenerationOrder.shape)
		.filter(([, field]) => field.safeParse(null).success)
		.map(([name]) => name)
)

/**
 * A body as its model takes it, complete: its inputs are stored, and the picture's size follows from them. Everything that is wrong with the
 * body itself is told at once, before anything is fetched or stored. Where nothing `isKept`, inputs are looked at alone, and their ids name nothing.
 *
 * @param release lets go of the body, of which nothing is needed any more
 */
export async function resolveOrder(
	env: Env,
	key: Key,
	body: unknown,
	{ isKept, release }: { isKept: boolean; release: () => void }
): Promise<{ order: Order; warnings: Warning[] }> {
	const { model, task, fields, narrowed } = narrow(body)
	const given = InputName.options.filter((name) => fields[name] !== undefined)
	if (given.length === 0) {
		return { order: takeApart(narrowed), warnings: [] }
	}
	// Fetching and storing is for those alone whose order would be taken.
	const account = env.ACCOUNT.getByName(key.account)
	if (given.every((name) => isUpload(fields[name]))) {
		unwrap(await account.expectKey(key.hash, 'generate'))
	} else {
		unwrap(await account.expectInput(key.hash))
	}
	const store = isKept ? storeInput : async () => newId('upl')
	const inputs: Partial<Record<InputName, Taken>> = {}
	// One after another, and none beside the body: whoever had one in memory and waited for room for the other could wait for ever.
	const isWithin = (name: InputName) => fields[name] instanceof Given
	const takeAll = async (names: InputName[]) => {
		for (const name of names) {
			inputs[name] = await take(env, key.account, name, fields[name], store)
		}
	}
	await takeAll(given.filter(isWithin))
	release()
	await takeAll(given.filter((name) => !isWithin(name)))
	const image = inputs.image ?? inputs.semantic_map ?? inputs.control_image
	if (image && task === 'super-resolution') {
		expectEnlargeable(model, image)
	}
	const ids = Object.fromEntries(Object.entries(inputs).map(([name, { id }]) => [name, id]))
	const order = takeApart(parse(orderFor(model, { task, image }), { ...fields, ...ids }))
	return { order, warnings: warningsOf(model, fields, order.request, inputs) }
}

/** What a body asks of which model, inputs as they were given; or a problem, with all that is wrong with it. */
function narrow(body: unknown): { model: Model; task: Task; fields: Fields; narrowed: ResolvedRequest & Terms } {
	const fields = withoutNulls(body)
	const name = fields?.model
	const model = typeof name === 'string' ? findModel(name) : undefined
	if (fields && model) {
		const task = taskOf(model, fields)
		return { model, task, fields, narrowed: parse(orderFor(model, { task, stored: false }), shown(fields)) }
	}
	// What else is wrong with what was meant for another model is of no use to anyone.
	if (typeof name !== 'string') {
		parse(GenerationOrder, fields ? shown(fields) : body)
	}
	const expected = models.map(({ id }) => id).join(', ')
	const error = { pointer: '/model', detail: 'There is no such model.', expected, received: describe(name) }
	throw new ProblemError({
		code: 'unknown-model',
		detail: `Expected one of the models ${expected}, got ${describe(name)}.`,
		errors: [error]
	})
}

/** The fields of a body; those that are null, and may be, are as good as absent. */
function withoutNulls(body: unknown): Fields | undefined {
	if (typeof body !== 'object' || body === null || Array.isArray(body)) {
		return undefined
	}
	const fields: Record<string, unknown> = { ...body }
	for (const name of Object.keys(fields)) {
		if (fields[name] === null && nullable.has(name)) {
			delete fields[name]
		}
	}
	return fields
}

/** Fields as schemas may see them, to which an input is a text. */
function shown(fields: Fields): Fields {
	const seen: Record<string, unknown> = { ...fields }
	for (const name of InputName.options) {
		if (seen[name] instanceof Given) {
			seen[name] = 'data:'
		}
	}
	return seen
}

interface Taken extends Inspected {
	readonly id: string
}

/** An input in storage under an id of ours, looked at: wherever it comes from, nothing is believed but its bytes. */
async function take(env: Env, account: string, name: InputName, given: unknown, store: typeof storeInput): Promise<Taken> {
	const pointer = `/${name}`
	const keep = async (bytes: Uint8Array): Promise<Taken> => {
		const seen = look(bytes, pointer)
		return { ...seen, id: await store(env, account, bytes, seen.type) }
	}
	if (given instanceof Given) {
		return keep(given.name === undefined ? decode(given.bytes, pointer) : given.bytes)
	}
	const text = String(given).trim()
	if (/^data:/i.test(text)) {
		return keep(decode(Buffer.from(JSON.stringify(text).slice(1, -1)), pointer))
	}
	if (!(isUpload(given) || /^[a-z][a-z\d+.-]*:/i.test(text))) {
		return refuse(pointer, 'the id of an upload, a data: URI or an https URL', describe(given))
	}
	const held = await (isUpload(given) ? readUpload(env, account, text, pointer) : fetchInput(env, account, text, pointer))
	try {
		return isUpload(given) ? { ...look(held.bytes, pointer), id: text } : await keep(held.bytes)
	} finally {
		held.release()
	}
}

const isUpload = (given: unknown): boolean => typeof given === 'string' && given.trim().startsWith('upl_')

async function readUpload(env: Env, account: string, id: string, pointer: string): Promise<Held> {
	const { body, size } =
		(await findInput(env, account, id)) ?? refuse(pointer, 'an upload of this account whose bytes were PUT', describe(id))
	return Held.read(account, body, inputLimits.bytes, size)
}

function expectEnlargeable(model: Model, image: Size): void {
	const { min, max } = enlargeable(model)!
	if (Math.max(image.width, image.height) > max || Math.min(image.width, image.height) < min) {
		refuse('/image', `sides of ${min} to ${max} pixels`, pixels(image))
	}
}
