import { ONE_CALL_GAIN } from '../../../worker-gpu/engine/limits.ts'
import { isOutOfMemory } from '../../../worker-gpu/onnx/out-of-memory.ts'
import type { Provider } from '../../../worker-gpu/onnx/provider.ts'
import { callMs, drawTogether } from '../drawing.ts'
import type { Options } from '../main.ts'
import { isHere, type Kind, loadModel, type Measured, type Name, providerFor } from '../models.ts'
import { MATRIX_PEAK } from '../peak.ts'
import { type Report, readResults } from '../results.ts'

/** What drawing takes over the calls that it makes, at most: what is between them, and the decoder. */
const BESIDE_CALLS = 1.2

/** What networks of real sizes take here: pictures drawn one at a time, and as many at once as gain most. */
export async function sizes({ provider: choice, quick, seconds, models }: Options, report: Report): Promise<void> {
	const ends = performance.now() + seconds * 1000
	const provider = await providerFor(choice)
	const peak = readResults('probe').find(({ what }) => what === MATRIX_PEAK)?.value
	for (const [i, name] of models.entries()) {
		const until = performance.now() + (ends - performance.now()) / (models.length - i)
		const limits = { peak, until, quick, provider }
		// Where a fused graph fails, the one as exported shows what can be had.
		for (const kind of quick ? (['tiny'] as const) : (['real', 'plain'] as const)) {
			if (isHere(name, kind) && (await succeeds(name, kind, limits, report))) {
				break
			}
		}
	}
}

async function succeeds(name: Name, kind: Kind, limits: Limits, report: Report): Promise<boolean> {
	const called = kind === 'plain' ? `${name}, not fused` : name
	try {
		const began = performance.now()
		const model = await loadModel(name, limits.provider, kind)
		await report(`${called}: loaded`, `${((performance.now() - began) / 1000).toFixed(1)} s`)
		await measure(called, model, limits, report)
		await model.release()
		return true
	} catch (error) {
		console.error(error)
		await report(called, `failed: ${(error as Error).message.split('\n')[0]}`)
		return false
	}
}

interface Limits {
	/** Operations a second; undefined where the probe has not measured it. */
	readonly peak: number | undefined
	readonly until: number
	readonly quick: boolean
	readonly provider: Provider
}

async function measure(name: string, model: Measured, { peak, until, quick, provider }: Limits, report: Report): Promise<void> {
	const { steps } = model.drawing
	const targets = model.targets ?? {}
	await drawTogether(model, 1, provider, { steps: 2 }) // Every shape of one picture has been seen then.
	const alone = await drawTogether(model, 1, provider)
	const latency = alone.ms / 1000
	await report(
		`${name}: seconds for one picture of ${steps} steps`,
		latency.toFixed(3),
		targets.latency ? `≤ ${targets.latency}` : '',
		latency
	)
	await report(`${name}: share of its time in which no call runs, one picture`, percent(alone.hostShare))

	const plan = await model.plan()
	const asked = plan.evaluate(plan.start(0))
	// Two calls of a size take turns where there are two lanes.
	const lanes = provider.ownThread ? 2 : 1
	const calls: { pictures: number; ms: number; rate: number }[] = []
	const leavesTime = ({ ms }: { ms: number }) => performance.now() + lanes * steps * ms * BESIDE_CALLS < until
	for (const pictures of [1, ...(quick ? [2] : model.batches)]) {
		const call = await callMs(plan, asked, pictures).catch((error: unknown) => {
			if (!isOutOfMemory(error)) {
				throw error
			}
		})
		if (!call) {
			await report(`${name}: a call of ${pictures}`, 'no memory')
			break
		}
		const { first, ms } = call
		await report(`${name}: a call of ${pictures}`, `${ms.toFixed(1)} ms (the first ${first.toFixed(0)})`)
		calls.push({ pictures, ms, rate: pictures / ms })
		if (!leavesTime(call)) {
			break // Larger ones would take longer still.
		}
	}

	// As the engine's own search for the batch limit has it.
	const [smallest, ...larger] = calls
	const best = larger.filter(leavesTime).reduce((one, other) => (other.rate > one.rate ? other : one), smallest!)
	const { pictures } = best
	const half = calls.some((one) => one.pictures === pictures / 2 && one.rate * ONE_CALL_GAIN > best.rate)
	const evaluations = pictures * asked.length
	const drawn = lanes * pictures
	const together = await drawTogether(model, drawn, provider, { most: evaluations, light: evaluations / (half ? 2 : 1) })
	const rate = (1000 * drawn) / together.ms
	await report(
		`${name}: pictures a second, ${drawn} at once, ${evaluations} evaluations a call`,
		rate.toFixed(2),
		targets.rate ? `≥ ${targets.rate}` : '',
		rate
	)
	await report(`${name}: that over one at a time`, (rate * latency).toFixed(2), targets.gain ? `≥ ${targets.gain}` : '')
	await report(`${name}: share of the time in which no call runs`, percent(together.hostShare), '≤ 3 %')
	if (!quick && peak) {
		// Of the sizes that are drawn here alone.
		const done = model.operations * asked.length * steps * drawn
		await report(`${name}: share of the matrix peak, in its calls`, percent(done / (together.inferenceMs / 1000) / peak))
	}
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
