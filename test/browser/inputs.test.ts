/// <reference lib="dom" />
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import paper from '../../worker-gpu/golden/paper.json' with { type: 'json' }
import stableDiffusion from '../../worker-gpu/golden/stable-diffusion.json' with { type: 'json' }
import { root } from '../root.ts'
import { type Stack, startStack } from '../stack.ts'
import { copyTree, runModels } from '../tree.ts'
import { develop, isMissing, openBrowser, openPage } from './chromium.ts'

const things = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i, `thing ${i}`]))

const names = ['class', 'layout', 'semantic', 'super-resolution', 'unconditional-vq', 'control'] as const

/** An export of one of the paper's models, or of Stable Diffusion with a ControlNet, tiny and with random weights. */
function lay(name: (typeof names)[number]): string {
	const dir = mkdtempSync(join(tmpdir(), 'darkroom-export-'))
	const model = name === 'control' ? stableDiffusion.models.control : paper.models[name]
	for (const [part, from] of Object.entries(model.parts)) {
		cpSync(join(root, 'worker-gpu/golden', from), join(dir, part), { recursive: true })
	}
	mkdirSync(join(dir, 'scheduler'))
	writeFileSync(join(dir, 'scheduler/scheduler_config.json'), JSON.stringify(model.scheduler))
	const { class: _class_name, index = {} } = model as { class: string; index?: object }
	writeFileSync(join(dir, 'model_index.json'), JSON.stringify({ _class_name, ...index, id2label: things }))
	return dir
}

describe.skipIf(isMissing)("the playground's inputs, for models that start from something else than words", () => {
	let tree: string
	let stack: Stack
	let browser: Browser
	let page: Page
	let faults: string[]
	beforeAll(async () => {
		tree = copyTree()
		for (const name of names) {
			const source = lay(name)
			const { status, stderr } = runModels(tree, 'add', source, '--id', name)
			expect(status, stderr).toBe(0)
			rmSync(source, { recursive: true })
		}
		;[stack, browser] = await Promise.all([startStack({ tree }), openBrowser()])
		;({ page, faults } = await openPage(browser, { viewport: { width: 1280, height: 900 } }))
		await page.goto(stack.url)
		await page.getByLabel('API key').fill(stack.apiKey)
		await page.getByRole('button', { name: 'Enter' }).click()
	}, 300_000)
	afterAll(async () => {
		await Promise.all([stack?.close(), browser?.close()])
		rmSync(tree, { recursive: true })
	})

	const choose = (model: string) => page.locator('select[name=model]').selectOption(model)
	/** Drags over the canvas, from one point to another, both in parts of it. */
	const drag = async (from: [number, number], to: [number, number]) => {
		const canvas = page.locator('#inputs canvas')
		await canvas.scrollIntoViewIfNeeded()
		const { x, y, width, height } = (await canvas.boundingBox())!
		await page.mouse.move(x + width * from[0], y + height * from[1])
		await page.mouse.down()
		await page.mouse.move(x + width * to[0], y + height * to[1], { steps: 4 })
		await page.mouse.up()
	}
	const developed = async () => stack.finished(await develop(page))

	it('boxes are drawn, changed by numbers and taken away', async () => {
		await choose('layout')
		await page.getByLabel('Next box').selectOption('thing 3')
		await drag([0.1, 0.2], [0.5, 0.6])
		await page.getByLabel('Next box').selectOption('thing 7')
		// However it is dragged.
		await drag([0.9, 0.9], [0.6, 0.7])
		await page.getByRole('button', { name: 'Add in the middle' }).click()
		await page.getByRole('button', { name: 'Remove the box' }).last().click()
		// A corner that is lacking is not 0.
		await page.getByLabel('bottom').last().fill('')
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.locator('.boxes input:focus:invalid').waitFor()
		await page.getByLabel('bottom').last().fill('1')
		const { request } = await developed()
		expect(request.layout).toEqual([
			{ label: 3, box: [0.1, 0.2, 0.5, 0.6] },
			{ label: 7, box: [0.6, 0.7, 0.9, 1] }
		])
		// And they are there again for whoever uses it again.
		await choose('semantic')
		await page.locator('#gallery article button').first().click()
		await page.getByRole('button', { name: 'Use again' }).click()
		expect(await page.getByLabel('What is in the box').count()).toBe(2)
		expect(await page.getByLabel('bottom').last().inputValue()).toBe('1')
	})

	it('a map is painted in the colours of its classes', async () => {
		await choose('semantic')
		await page.getByText('thing 2', { exact: true }).click()
		await page.getByRole('button', { name: 'Fill' }).click()
		await page.getByText('thing 5', { exact: true }).click()
		await drag([0.25, 0.5], [0.75, 0.5])
		await page.getByText('thing 9', { exact: true }).click()
		await drag([0.25, 0.1], [0.75, 0.1])
		await page.getByRole('button', { name: 'Undo' }).click()
		const { request } = await developed()
		const map = await stack.fetch(`/openai/v1/files/${request.semantic_map}/content`)
		const { data, info } = await sharp(await map.arrayBuffer())
			.removeAlpha()
			.raw()
			.toBuffer({ resolveWithObject: true })
		const { models } = (await (await stack.fetch('/v1/models')).json()) as {
			models: { id: string; tasks: Record<string, { labels: { color: string }[] }> }[]
		}
		const { labels } = models.find(({ id }) => id === 'semantic')!.tasks['semantic-synthesis']!
		const colourAt = (x: number, y: number) => {
			const at = 3 * (Math.floor(y * info.height) * info.width + Math.floor(x * info.width))
			return `#${data.subarray(at, at + 3).toString('hex')}`
		}
		expect([colourAt(0.5, 0.5), colourAt(0.5, 0.1), colourAt(0.1, 0.9)]).toEqual([5, 2, 2].map((i) => labels[i]!.color))
	})

	it('a map from a file is drawn whole', async () => {
		await choose('semantic')
		const map = sharp({ create: { width: 32, height: 16, channels: 3, background: 'black' } })
		const file = { name: 'map.png', mimeType: 'image/png', buffer: await map.png().toBuffer() }
		await page.getByLabel('A map from a file, to paint on').setInputFiles(file)
		await page.locator('#inputs canvas[width="32"]').waitFor()
		const { request } = await developed()
		expect([request.width, request.height]).toEqual([32, 16])
	})

	it('a map steers, as strongly as is asked for, until it is removed', async () => {
		await choose('control')
		await page.locator('textarea[name=prompt]').fill('a red sphere')
		const edges = sharp({ create: { width: 40, height: 24, channels: 3, background: 'white' } })
		const buffer = await edges.extend({ bottom: 24, background: 'black' }).png().toBuffer()
		await page.getByLabel('Control image').setInputFiles({ name: 'edges.png', mimeType: 'image/png', buffer })
		await page.getByAltText('What steers').waitFor()
		// The picture becomes as large.
		expect(await page.getByLabel('Width').inputValue()).toBe('40')
		expect(await page.getByLabel('Height').inputValue()).toBe('48')
		expect(await page.getByLabel('How strongly it steers').inputValue()).toBe('1')
		await page.getByLabel('How strongly it steers').fill('0.5')
		await page.getByLabel('To which part of them').fill('0.75')
		const { request } = await developed()
		expect(request).toMatchObject({ task: 'text-to-image', width: 40, height: 48, control_scale: 0.5, control_end: 0.75 })
		expect(request.control_image).toMatch(/^upl_/)
		// It is there again for whoever uses it again, and for another task.
		await page.locator('#gallery article button').first().click()
		await page.getByRole('button', { name: 'Use again' }).click()
		await page.getByAltText('What steers').waitFor()
		expect(await page.getByLabel('How strongly it steers').inputValue()).toBe('0.5')
		expect((await developed()).request).toMatchObject({
			control_image: request.control_image,
			control_scale: 0.5,
			control_start: 0,
			control_end: 0.75
		})
		await page.getByRole('button', { name: 'Remove' }).click()
		const { request: free } = await developed()
		expect(free).not.toHaveProperty('control_image')
		expect(free).not.toHaveProperty('control_scale')
	})

	it('a class is chosen by its name', async () => {
		await choose('class')
		await page.locator('#inputs').getByLabel('Class').selectOption('thing 4')
		expect((await developed()).request.class_label).toBe(4)
	})

	it('a picture is enlarged, and nothing is to be said of it', async () => {
		await choose('super-resolution')
		const small = { create: { width: 8, height: 8, channels: 3, background: 'red' } } as const
		const buffer = await sharp(small).png().toBuffer()
		await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'red.png', mimeType: 'image/png', buffer })
		await page.getByAltText('What it starts from').waitFor()
		expect(await page.getByLabel('Prompt').isVisible()).toBe(false)
		expect(await page.getByLabel('Width').isVisible()).toBe(false)
		const { request } = await developed()
		expect(request.task).toBe('super-resolution')
		expect([request.width, request.height]).toEqual([32, 32])
	})

	it('where nothing can be asked for, there is nothing to fill in', async () => {
		await choose('unconditional-vq')
		expect(await page.locator('#inputs').isVisible()).toBe(false)
		expect(await page.getByLabel('Prompt').isVisible()).toBe(false)
		expect((await developed()).request.task).toBe('unconditional')
	})

	it('and the browser complains of nothing', () => {
		expect(faults).toEqual([])
	})
})
