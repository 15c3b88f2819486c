import { callMs } from '../drawing.ts'
import type { Options } from '../main.ts'
import { isHere, loadModel, providerFor } from '../models.ts'
import type { Report } from '../results.ts'

/** What keeps the CUDA provider from what it would take: cuDNN's attention, from compute capability 9 on, then its own flash attention. Read whenever a graph is opened. */
const SWITCHES = [
	{},
	{ ORT_ENABLE_CUDNN_FLASH_ATTENTION: '0' },
	{ ORT_ENABLE_CUDNN_FLASH_ATTENTION: '0', ORT_DISABLE_FLASH_ATTENTION: '1' }
] as const

/** A call at the smaller batch, with the attention that the provider chooses and with those that it takes instead. */
export async function attention({ provider: choice, quick, models }: Options, report: Report): Promise<void> {
	const provider = await providerFor(choice)
	const kind = quick ? 'tiny' : 'real'
	for (const name of models.filter((name) => isHere(name, kind))) {
		for (const switches of SWITCHES) {
			const told = Object.entries(switches).map((pair) => pair.join('='))
			const what = `${name}: a call of pictures with ${told.join(' ') || 'what it chooses'}`
			Object.assign(process.env, switches)
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
			for (const variable in switches) {
				delete process.env[variable]
			}
		}
	}
}
