/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, chromium, type Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Stack, startStack } from '../stack.ts'

/** Debian's; playwright-core brings none. */
const executablePath = process.env.CHROMIUM || spawnSync('which', ['chromium'], { encoding: 'utf8' }).stdout.trim()
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Bytes that the page may cost before anything is asked for. */
const mostBytes = 60_000

if (!executablePath) {
	console.log('skipped: no chromium')
}

describe.runIf(executablePath || process.env.CI)('the playground', () => {
	let stack: Stack
	let browser: Browser
	let page: Page
	const trouble: string[] = []
	beforeAll(async () => {
		stack = await startStack()
		browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
		page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
		page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()))
		page.on('pageerror', (error) => trouble.push(String(error)))
	})
	afterAll(async () => {
		await browser?.close()
		await stack?.close()
	})

	const issues = async () => {
		await page.evaluate(axe)
		const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run())
		return violations
			.filter(({ impact }) => impact === 'serious' || impact === 'critical')
			.map(({ id, nodes }) => [id, nodes[0]?.html])
	}

	it('costs little to open', async () => {
		let bytes = 0
		const count = async ({
			request
		}: {
			request: { sizes(): Promise<{ responseBodySize: number; responseHeadersSize: number }> }
		}) => {
			const { responseBodySize, responseHeadersSize } = await request.sizes()
			bytes += responseBodySize + responseHeadersSize
		}
		const counting: Promise<void>[] = []
		page.on('requestfinished', (request) => counting.push(count({ request })))
		await page.goto(stack.url)
		await page.getByLabel('API key').waitFor()
		await Promise.all(counting)
		expect(bytes).toBeGreaterThan(1_000)
		expect(bytes).toBeLessThan(mostBytes)
		expect(await issues()).toEqual([])
	})

	it('shows a picture as it develops', async () => {
		await page.getByLabel('API key').fill(stack.apiKey)
		await page.getByRole('button', { name: 'Enter' }).click()
		await page.getByLabel('Prompt').fill('a large shiny red sphere on a grey floor')
		for (const [name, value] of Object.entries({ Steps: 100, Width: 256, Height: 256 })) {
			await page.getByLabel(name).fill(String(value))
		}
		await page.getByLabel('Seed').fill('7')
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		const sources = await page.evaluateHandle(() => {
			const seen = new Set<string>()
			new MutationObserver(() => {
				for (const { src } of document.querySelectorAll<HTMLImageElement>('#development img')) {
					seen.add(src)
				}
			}).observe(document.body, { subtree: true, attributes: true, childList: true })
			return seen
		})
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.locator('#development').getByText('Done').waitFor()
		const seen = await sources.evaluate((set) => [...set])
		expect(seen.filter((src) => src.startsWith('data:image/webp')).length).toBeGreaterThanOrEqual(3)
		expect(seen.at(-1)).toContain('/darkroom/gen_')
		const { width, height } = await page.locator('#development img').evaluate(async (image: HTMLImageElement) => {
			await image.decode()
			return { width: image.naturalWidth, height: image.naturalHeight }
		})
		expect([width, height]).toEqual([256, 256])
		expect(await issues()).toEqual([])
	})

	it('cancels', async () => {
		await page.getByLabel('Pictures').fill('8')
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('button', { name: 'Cancel' }).click()
		await page.locator('#development').getByText('Canceled').waitFor()
	})

	it('keeps the gallery, with what each picture was asked for', async () => {
		await page.reload()
		const card = page.locator('#gallery article')
		await card.waitFor()
		expect(await card.count()).toBe(1)
		await card.getByText('The whole request').click()
		expect(await card.locator('pre').textContent()).toContain('"seed": 7')
		await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
		await card.getByRole('button', { name: 'Copy as curl' }).click()
		await page.getByText('Copied for curl.').waitFor()
		const copied = await page.evaluate(() => navigator.clipboard.readText())
		expect(copied).toContain(`curl ${stack.url}/v1/generations`)
		expect(copied).not.toContain(stack.apiKey)
	})

	it('says what is wrong, in the words of the API', async () => {
		await page.getByLabel('Prompt').fill('')
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('alert').getByText('/prompt').waitFor()
	})

	it('draws anew what was painted over, and leaves the rest', async () => {
		const side = 128
		const buffer = await sharp({ create: { width: side, height: side, channels: 3, background: { r: 150, g: 150, b: 155 } } })
			.png()
			.toBuffer()
		await page.getByLabel('Task').selectOption('inpainting')
		await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'grey.png', mimeType: 'image/png', buffer })
		await page.getByLabel('Prompt').fill('a large shiny red sphere on a grey floor')
		await page.getByLabel('Seed').fill('7')
		const canvas = page.locator('#inputs canvas')
		await canvas.scrollIntoViewIfNeeded()
		const { x, y, width, height } = (await canvas.boundingBox())!
		await page.getByLabel('Brush').fill('42')
		await page.mouse.move(x + width * 0.35, y + height * 0.4)
		await page.mouse.down()
		for (const part of [0.45, 0.55, 0.65]) {
			await page.mouse.move(x + width * part, y + height * 0.5)
		}
		await page.mouse.up()
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.locator('#development').getByText('Done').waitFor()
		const url = await page.locator('#development img').getAttribute('src')
		const drawn = sharp(Buffer.from(await (await fetch(url!)).arrayBuffer())).removeAlpha()
		/** By how much the reddest pixel of some rows is more red than green. */
		const redness = async (top: number, height: number) => {
			const pixels = await drawn.clone().extract({ left: 0, top, width: side, height }).raw().toBuffer()
			return Math.max(...Array.from({ length: side * height }, (_, i) => pixels[3 * i]! - pixels[3 * i + 1]!))
		}
		expect(await redness(32, 64)).toBeGreaterThan(120)
		expect(await redness(112, 16)).toBeLessThan(40)
		expect(await issues()).toEqual([])
	})

	it('has a reference of the API beside it', async () => {
		// The refusal above is logged by the browser, as any answer of its kind is.
		trouble.splice(0, trouble.length, ...trouble.filter((text) => !text.includes('422')))
		await page.goto(`${stack.url}/docs#postGenerations`)
		await page.getByRole('heading', { name: 'POST /v1/generations', exact: true }).waitFor()
		expect(await issues()).toEqual([])
	})

	it('has made the browser complain of nothing', () => {
		expect(trouble).toEqual([])
	})
})
