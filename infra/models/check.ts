import path from 'node:path'
import type { Task } from '../../shared/tasks.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { readCatalog } from './catalog-file.ts'
import { draw, exampleDrawing } from './draw.ts'
import { find } from './find.ts'
import { checkSums } from './sums.ts'

/** Looks whether models are as they were added, loads them and draws with every task that their entries offer, at the smallest size; a line for each. Throws at the first that cannot. */
export async function* checkModel(
	modelsDir: string,
	catalogFile: string,
	provider: Provider,
	id?: string
): AsyncGenerator<string> {
	const models = readCatalog(catalogFile)
	for (const { id: name, tasks, size } of id === undefined ? models : [find(models, id)]) {
		await checkSums(path.join(modelsDir, name))
		const checkpoint = await loadCheckpoint(path.join(modelsDir, name), provider, { milliseconds: 0 })
		for (const task of Object.keys(tasks) as Task[]) {
			const factor = tasks['super-resolution']?.factor ?? 1
			const plan = await planFor(checkpoint, exampleDrawing(task, size.min, factor))
			const { image } = await draw(plan, 0)
			yield `${name}: ${task}: drew ${image.dims[2]} × ${image.dims[1]} in ${plan.evaluations} evaluations`
		}
	}
}
