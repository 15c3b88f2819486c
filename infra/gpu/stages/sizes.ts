import { isOutOfMemory } from '../../../worker-gpu/onnx/out-of-memory.ts'
import { chooseProvider } from '../../../worker-gpu/onnx/provider.ts'
import { callMs, drawTogether } from '../drawing.ts'
import type { Options } from '../main.ts'
import { cases, loadModel, type Measured, type Name } from '../models.ts'
import { matrixPeak } from '../peak.ts'
import type { Report } from '../results.ts'

/** Larger calls must gain so much, as for the engine's own limit. */
const LEAST_GAIN = 1.05
const MOST_EVALUATIONS = 128
/** Milliseconds, after which no larger call is tried. */
const LONGEST_CALL = 1_500

/** What networks of real sizes take here: pictures drawn one at a time, and as many at once as gain anything. */
export async function sizes({ provider: choice, quick, seconds }: Options, report: Report): Promise<void> {
	const ends = performance.now() + seconds * 1000
	const provider = await chooseProvider(choice)
	const peak = await matrixPeak(provider, quick ? 256 : 8192)
	await report('the matrix peak: products of half precision, one after the other', `${(peak / 1e12).toFixed(3)} TFLOP/s`)
	const names = Object.keys(cases) as Name[]
	for (const [i, name] of names.entries()) {
		const share = (ends - performance.now()) / (names.length - i)
		try {
			const began = performance.now()
			const model = await loadModel(name, provider, quick)
			await report(`${name}: loaded, weights drawn`, `${((performance.now() - began) / 1000).toFixed(1)} s`)
			await measure(name, model, { peak, until: began + share, quick, plansShapes: provider.plansShapes }, report)
			await model.release()
		} catch (error) {
			console.error(error)
			await report(name, `failed: ${(error as Error).message.split('\n')[0]}`)
		}
	}
}

interface Limits {
	readonly peak: number
	readonly until: number
	readonly quick: boolean
	readonly plansShapes: boolean
}

async function measure(name: Name, model: Measured, { peak, until, quick, plansShapes }: Limits, report: Report): Promise<void> {
	const { steps } = model.drawing
	const targets = model.targets ?? {}
	await drawTogether(model, 1, plansShapes, 2) // Every shape of one picture has been seen then.
	const alone = await drawTogether(model, 1, plansShapes)
	const latency = alone.ms / 1000
	await report(
		`${name}: seconds for one picture of ${steps} steps`,
		latency.toFixed(3),
		targets.latency ? `≤ ${targets.latency}` : '',
		latency
	)

	const plan = await model.plan()
	const asked = plan.evaluate(plan.start(0))
	let best = { pictures: 1, rate: 1 / (await callMs(plan, asked, 1)) }
	let misses = 0
	const swept: string[] = []
	for (let pictures = 2; pictures * asked.length <= (quick ? 4 : MOST_EVALUATIONS) && misses < 2; pictures *= 2) {
		const ms = await callMs(plan, asked, pictures).catch((error: unknown) => {
			if (isOutOfMemory(error)) {
				return Number.POSITIVE_INFINITY
			}
			throw error
		})
		swept.push(`${pictures}: ${Number.isFinite(ms) ? (pictures / ms / best.rate).toFixed(2) : 'no memory'}`)
		if (pictures / ms >= best.rate * LEAST_GAIN) {
			best = { pictures, rate: pictures / ms }
			misses = 0
		} else {
			misses += 1
		}
		if (ms > LONGEST_CALL || performance.now() > until - (steps * best.pictures) / best.rate) {
			break
		}
	}
	await report(`${name}: pictures a call, each over the best below it`, swept.join(', '))

	const together = await drawTogether(model, best.pictures, plansShapes)
	const rate = (1000 * best.pictures) / together.ms
	await report(
		`${name}: pictures a second, ${best.pictures} at once`,
		rate.toFixed(2),
		targets.rate ? `≥ ${targets.rate}` : '',
		rate
	)
	await report(`${name}: that over one at a time`, (rate * latency).toFixed(2), targets.gain ? `≥ ${targets.gain}` : '')
	await report(`${name}: share of a tick between two calls`, `${(100 * together.hostShare).toFixed(1)} %`, '≤ 3 %')
	if (!quick) {
		// Of the sizes that are drawn here alone.
		const done = model.operations * asked.length * steps * best.pictures
		const share = done / (together.inferenceMs / 1000) / peak
		await report(`${name}: share of the matrix peak, in its calls`, `${(100 * share).toFixed(0)} %`)
	}
}
