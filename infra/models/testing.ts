import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import shipped from '../../shared/catalog.json' with { type: 'json' }
import { startEngine } from '../../worker-gpu/engine/client.ts'
import golden from '../../worker-gpu/golden/imports.json' with { type: 'json' }
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'
import { type AddOptions, addModel } from './add.ts'
import { changeCatalog } from './catalog-file.ts'
import { exampleDrawing } from './draw.ts'
import { type Progress, stage } from './stage.ts'

/** Golden files of exports, each part in a folder. */
export const exports = path.join(import.meta.dirname, '../../worker-gpu/golden/imports')
const clip = path.join(import.meta.dirname, '../../worker-gpu/golden/tokenizers/clip')
export const provider = await chooseProvider('cpu', 1)

/** For each test of the file: a place for an export, a folder of models, and a catalog of one model. */
export function workspace() {
	let catalog: string
	const place = {
		work: '',
		source: '',
		modelsDir: '',
		catalogFile: '',
		/** A file of the export. */
		at: (name: string) => path.join(place.source, name),
		add: ({ progress, ...options }: Partial<AddOptions> & { progress?: Progress } = {}) =>
			addModel({ ...place, stage: (id, found, staged) => stage(id, found, staged, provider, progress), ...options }),
		/** An engine with the model `mine` alone, which was imported. */
		startEngine: () =>
			startEngine({ models: ['mine'], modelsDir: place.modelsDir, provider: 'cpu', threads: 1, measureLimits: false }),
		/** Lays an export out as its exporter would. */
		lay: (kind: Kind, className?: string) => lay(place.source, kind, className),
		nothingWritten() {
			expect(readdirSync(place.modelsDir)).toEqual([])
			expect(readFileSync(place.catalogFile, 'utf8')).toBe(catalog)
			expect(readdirSync(place.work).sort()).toEqual(expect.not.arrayContaining(['catalog.json.next']))
		}
	}
	beforeEach(async () => {
		place.work = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		place.source = path.join(place.work, 'Tiny SD')
		place.modelsDir = path.join(place.work, 'models')
		place.catalogFile = path.join(place.work, 'catalog.json')
		await mkdir(place.modelsDir)
		await writeFile(place.catalogFile, JSON.stringify(shipped))
		changeCatalog(place.catalogFile, (models) => models.slice(0, 1))
		catalog = readFileSync(place.catalogFile, 'utf8')
	})
	afterEach(() => rm(place.work, { recursive: true }))
	return place
}

type Kind = 'scalar' | 'int64' | 'dynamo' | 'half' | 'dynamo-half'

async function lay(source: string, kind: Kind, className = 'ORTStableDiffusionPipeline'): Promise<void> {
	const half = kind.endsWith('half') ? '-half' : ''
	const parts = {
		unet: `unet-${kind}`,
		text_encoder: `text_encoder${half}`,
		vae_decoder: `vae_decoder${half}`,
		scheduler: 'scheduler'
	}
	for (const [name, from] of Object.entries(parts)) {
		await cp(path.join(exports, from), path.join(source, name), { recursive: true })
	}
	await cp(clip, path.join(source, 'tokenizer'), { recursive: true })
	await writeFile(path.join(source, 'model_index.json'), JSON.stringify({ _class_name: className }))
}

/** What diffusers drew with these exports. */
export const drawings = golden.drawn.map(({ request: { sampler, seed, ...rest }, ...expected }) => ({
	seed,
	drawing: exampleDrawing('text-to-image', 16, 2, { ...rest, sampler: sampler as 'euler' | null }),
	...expected
}))
