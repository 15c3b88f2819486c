import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import golden from '../../worker-gpu/golden/imports.json' with { type: 'json' }
import { bytesApart, unpack } from '../../worker-gpu/golden/unpack.ts'
import { root } from '../root.ts'
import { startStack } from '../stack.ts'
import { copyTree, runModels } from '../tree.ts'

describe('npm run models', () => {
	let tree: string
	let source: string
	beforeAll(() => {
		tree = copyTree()
		source = join(tree, 'export')
		mkdirSync(source)
		const exported = join(root, 'worker-gpu/golden/imports')
		const parts = { unet: 'unet-scalar', text_encoder: 'text_encoder', vae_decoder: 'vae_decoder', scheduler: 'scheduler' }
		for (const [name, from] of Object.entries(parts)) {
			cpSync(join(exported, from), join(source, name), { recursive: true })
		}
		cpSync(join(root, 'worker-gpu/golden/tokenizers/clip'), join(source, 'tokenizer'), { recursive: true })
		writeFileSync(join(source, 'model_index.json'), '{"_class_name":"ORTStableDiffusionPipeline"}')
	})
	afterAll(() => rmSync(tree, { recursive: true }))

	const models = (...parameters: string[]) => runModels(tree, ...parameters)

	it('explains itself, and refuses what it does not know', () => {
		expect(models('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('add DIR [--id ID] [--dry-run]') })
		expect(models('import', source)).toMatchObject({
			status: 1,
			stderr: expect.stringContaining('expected add, list, check or remove, got import')
		})
		expect(models('add')).toMatchObject({ status: 1, stderr: expect.stringContaining('add: expected one folder') })
		expect(models('list', '--dry-run')).toMatchObject({
			status: 1,
			stderr: expect.stringContaining('list: expected nothing more')
		})
		expect(models('add', join(tree, 'nowhere'))).toMatchObject({
			status: 1,
			stderr: expect.stringMatching(/^models: .*nowhere: expected a folder, found none$/m)
		})
	})

	it('adds an export that npm start then serves', async () => {
		const { status, stdout } = models('add', source, '--id', 'mine')
		expect(stdout).toContain('timestep: float32 [] was rewritten')
		expect(status).toBe(0)
		expect(models('check', 'mine').stdout).toBe('mine: text-to-image: drew 8 × 8 in 4 evaluations\n')

		const stack = await startStack({ tree })
		try {
			const [{ request, pixels }] = golden.drawn as [(typeof golden.drawn)[number]]
			const { sampler: _, ...asked } = request
			const { id } = await stack.submit({ model: 'mine', ...asked })
			const { status, images } = await stack.finished(id)
			expect(status).toBe('succeeded')
			const picture = await fetch(images[0]!.url)
			const bytes = await sharp(await picture.arrayBuffer())
				.removeAlpha()
				.raw()
				.toBuffer()
			expect(bytesApart(bytes, unpack(pixels))).toBeLessThan(1)
		} finally {
			await stack.close()
		}

		expect(models('remove', 'mine').stdout).toMatch(/^Removed mine: \d+ kB\.$/m)
		expect(readFileSync(join(tree, 'shared/catalog.json'), 'utf8')).toBe(readFileSync(join(root, 'shared/catalog.json'), 'utf8'))
	})
})
