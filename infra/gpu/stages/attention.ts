import { callMs } from '../drawing.ts'
import type { Options } from '../main.ts'
import { isHere, loadModel, providerFor } from '../models.ts'
import type { Report } from '../results.ts'

/** What the CUDA provider takes its attention from, where it may; read whenever a graph is opened. */
const SWITCHES = [undefined, 'ORT_ENABLE_CUDNN_FLASH_ATTENTION', 'ORT_DISABLE_FLASH_ATTENTION'] as const

/** A call at the smaller batch, with the attention that the provider chooses and with those that it can be told to take. */
export async function attention({ provider: choice, quick, models }: Options, report: Report): Promise<void> {
	const provider = await providerFor(choice)
	const kind = quick ? 'tiny' : 'real'
	for (const name of models.filter((name) => isHere(name, kind))) {
		for (const variable of SWITCHES) {
			const what = `${name}: a call of pictures with ${variable ? `${variable}=1` : 'what it chooses'}`
			if (variable) {
				process.env[variable] = '1'
			}
			try {
				const model = await loadModel(name, provider, kind)
				const plan = await model.plan()
				const pictures = quick ? 2 : model.batches[0]!
				const { ms } = await callMs(plan, plan.evaluate(plan.start(0)), pictures)
				await report(what.replace('pictures', `${pictures}`), `${ms.toFixed(1)} ms`)
				await model.release()
			} catch (error) {
				console.error(error)
				await report(what, `failed: ${(error as Error).message.split('\n')[0]}`)
			}
			if (variable) {
				delete process.env[variable]
			}
		}
	}
}
