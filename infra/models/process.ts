/** Forked by apart.ts, which ends it; by itself it ends where its parent is gone. */
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'
import { progressBar } from '../progress.ts'
import type { Order, Said } from './apart.ts'
import type { Staged } from './stage.ts'

const say = (said: Said) => process.send?.(said, () => {})

process.once('disconnect', () => process.exit())
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	process.on(signal, () => {}) // A terminal sends them to its parent, too.
}
setInterval(() => say({ type: 'here' }), 1_000)
process.once('message', async (order: Order) => {
	try {
		say({ type: 'done', staged: await work(order) })
	} catch (error) {
		const { name, message } = error as Error
		say({ type: 'failed', name, message })
	}
})

async function work(order: Order): Promise<Staged | undefined> {
	const provider = await chooseProvider(order.provider)
	if (order.work === 'stage') {
		const { stage } = await import('./stage.ts')
		return stage(order.id, order.found, order.staged, provider, progressBar)
	}
	const { checkModel } = await import('./check.ts')
	for await (const line of checkModel(order.modelsDir, order.catalogFile, provider, order.id)) {
		console.log(line)
	}
	return undefined
}
