/**
 * `node test/eval/draw.ts FILE`: draws what the model kit's experiments ask for through our own engine. FILE is JSON, see `Asked`; the pictures go
 * into one file of RGB bytes. Prints JSON: how long that took, and on what.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { z } from 'zod'
import { findModel, Model, ModelTasks } from '../../shared/catalog.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { Task } from '../../shared/tasks.ts'
import { shippedModels, startEngine } from '../../worker-gpu/engine/client.ts'

const Asked = z.strictObject({
	/** One of the catalog, or with `modelsDir` and `tasks` any folder in the diffusers ONNX layout. */
	model: z.string(),
	modelsDir: z.string().default(shippedModels),
	tasks: ModelTasks.optional(),
	/** Of a picture; it is square. */
	side: z.int(),
	steps: z.int(),
	guidance: z.number().optional(),
	/** Picture i is drawn with seed + i. */
	seed: z.int().default(0),
	count: z.int().min(1),
	/** One for each picture. */
	prompts: z.array(z.string()).optional(),
	/** RGB bytes, the low-resolution image of each picture one after the other. */
	images: z.strictObject({ file: z.string(), side: z.int() }).optional(),
	/** Where the pictures go. */
	to: z.string()
})

const asked = Asked.parse(JSON.parse(readFileSync(process.argv[2]!, 'utf8')))
const { tasks, images, side, count } = asked
const model: Model = tasks
	? Model.parse({
			id: asked.model,
			name: asked.model,
			description: '',
			tasks,
			size: { default: side, min: side, max: side, multiple: side },
			samplers: ['ddim'],
			steps: { default: asked.steps, min: 1, max: 1000 },
			guidance: { default: 1, min: 0, max: 20 },
			count: { default: 1, max: 1 },
			prompt: { max: 0, negative: false }
		})
	: findModel(asked.model)!
const task = Task.parse(Object.keys(model.tasks)[0])
const resolve = requestFor(model, { task, stored: false, ...(images && { image: { width: images.side, height: images.side } }) })
const low = images && readFileSync(images.file)
const engine = await startEngine({ models: [asked.model], modelsDir: asked.modelsDir, measureLimits: false })

/** Picture i, as RGB bytes. */
async function draw(i: number): Promise<Uint8Array> {
	const request = resolve.parse({
		model: asked.model,
		steps: asked.steps,
		seed: asked.seed + i,
		...(asked.guidance !== undefined && { guidance: asked.guidance }),
		...(asked.prompts && { prompt: asked.prompts[i] }),
		...(images && { image: 'drawn from the file' })
	})
	const bytes = images ? images.side ** 2 * 3 : 0
	const pixels = low && new Uint8Array(low.subarray(i * bytes, (i + 1) * bytes))
	const inputs = images && pixels ? { image: { pixels, width: images.side, height: images.side } } : {}
	const { pictures } = await engine.develop(request, { inputs })
	return pictures[0]!.pixels
}

await draw(0) // What comes first pays for memory that the others find there.
const began = performance.now()
const pictures = await Promise.all(Array.from({ length: count }, (_, i) => draw(i)))
const seconds = (performance.now() - began) / 1000
const { provider, threads } = engine.report
await engine.close()
writeFileSync(asked.to, Buffer.concat(pictures))
console.log(JSON.stringify({ seconds, provider, threads, machine: cpus()[0]?.model.trim() }))
