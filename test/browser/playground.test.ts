/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { models } from '../../shared/catalog.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { type Stack, startStack } from '../stack.ts'
import { develop, hurdles, isMissing, openBrowser, openPage } from './chromium.ts'

/** Bytes that the page may cost before anything is asked for. */
const mostBytes = 60_000

describe.skipIf(isMissing)('the playground', () => {
	let stack: Stack
	let browser: Browser
	let page: Page
	let trouble: string[]
	/** The generation of the picture that was watched. */
	let drawn: string
	beforeAll(async () => {
		;[stack, browser] = await Promise.all([startStack(), openBrowser()])
		;({ page, faults: trouble } = await openPage(browser, { viewport: { width: 1280, height: 900 } }))
	})
	afterAll(async () => {
		await browser?.close()
		await stack?.close()
	})

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
		expect(await hurdles(page)).toEqual([])
	})

	it('has an example ready, and others to choose', async () => {
		await page.evaluate(() => sessionStorage.clear())
		await page.reload()
		await page.getByLabel('API key').fill(stack.apiKey)
		await page.getByRole('button', { name: 'Enter' }).click()
		const [first, second] = models[0]!.examples!
		const another = page.getByRole('button', { name: second!.name })
		await another.waitFor()
		expect(await page.getByLabel('Prompt').inputValue()).toBe(first!.request.prompt)
		await another.click()
		expect(await page.getByLabel('Prompt').inputValue()).toBe(second!.request.prompt)
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		expect(await hurdles(page)).toEqual([])
	})

	it('keeps an example’s seed for its prompt alone', async () => {
		const [first] = models[0]!.examples!
		const seed = page.getByLabel('Seed')
		await page.getByRole('button', { name: first!.name }).click()
		expect(await seed.inputValue()).toBe(String(first!.request.seed))
		await page.getByLabel('Prompt').fill('a large shiny red sphere on a grey floor')
		expect(await seed.inputValue()).toBe('')
	})

	it('shows a picture as it develops', async () => {
		for (const [name, value] of Object.entries({ Steps: 100, Width: 256, Height: 256 })) {
			await page.getByRole('spinbutton', { name }).fill(String(value))
		}
		await page.getByLabel('Seed').fill('7')
		const sources = await page.evaluateHandle(() => {
			const seen = new Set<string>()
			new MutationObserver(() => {
				for (const image of document.querySelectorAll<HTMLImageElement>('.development img')) {
					seen.add(image.checkVisibility() ? image.src : 'hidden')
				}
			}).observe(document.body, { subtree: true, attributes: true, childList: true })
			return seen
		})
		drawn = await develop(page)
		await page
			.locator('.development')
			.getByText(/^Done · cost 0\.\d+ · seed 7$/)
			.waitFor()
		const seen = await sources.evaluate((set) => [...set])
		expect(seen.filter((src) => src.startsWith('data:image/webp')).length).toBeGreaterThanOrEqual(3)
		expect(seen.at(-1)).toContain('/darkroom/gen_')
		expect(seen).not.toContain('')
		const { width, height } = await page.locator('.development img').evaluate(async (image: HTMLImageElement) => {
			await image.decode()
			return { width: image.naturalWidth, height: image.naturalHeight }
		})
		expect([width, height]).toEqual([256, 256])
		expect(await hurdles(page)).toEqual([])
	})

	it('orders once where the answer takes long, however often the button is pressed', async () => {
		let orders = 0
		await page.route('**/v1/generations', async (route) => {
			orders += route.request().method() === 'POST' ? 1 : 0
			await new Promise((resolve) => setTimeout(resolve, 500))
			await route.continue()
		})
		const id = await page.locator('.development').getAttribute('data-id')
		await page.getByLabel('Pictures').fill('8') // Under way still when it is canceled.
		await page.getByRole('button', { name: 'Develop' }).dblclick()
		await page.getByText('Asking…').waitFor()
		await page.locator(`.development:not([data-id="${id}"])`).waitFor()
		await page.unroute('**/v1/generations')
		expect(orders).toBe(1)
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		await page.getByRole('button', { name: 'Cancel' }).click()
		await page
			.locator('.development')
			.getByText(/^Canceled/)
			.waitFor()
	})

	it('cancels', async () => {
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('button', { name: 'Cancel' }).click()
		await page
			.locator('.development')
			.getByText(/^Canceled/)
			.waitFor()
	})

	it('keeps the gallery, with what each picture was asked for', async () => {
		await page.reload()
		const card = page.locator(`#gallery [data-id="${drawn}"]`)
		await card.waitFor()
		const all = (await (await stack.fetch('/v1/generations')).json()) as { generations: Generation[] }
		const withPictures = all.generations.filter(({ images }) => images.length > 0).map(({ id }) => id)
		const hung = page.locator('#gallery article')
		expect(await hung.evaluateAll((cards) => cards.map((one) => (one as HTMLElement).dataset.id))).toEqual(withPictures)
		await card.getByRole('button').click()
		const detail = page.getByRole('dialog')
		await detail.getByText('The whole request').click()
		expect(await detail.locator('pre').textContent()).toContain('"seed": 7')
		await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
		for (const [name, address] of Object.entries({
			curl: '/v1/generations',
			Python: '/v1/generations',
			OpenAI: '/openai/v1',
			Replicate: '/replicate/v1'
		})) {
			await detail.getByRole('button', { name: `Copy as ${name}` }).click()
			await detail.getByText(`Copied for ${name}.`).waitFor()
			const copied = await page.evaluate(() => navigator.clipboard.readText())
			expect(copied).toContain(`${stack.url}${address}`)
			expect(copied).not.toContain(stack.apiKey)
			expect(name === 'Python' && copied).not.toContain('null')
		}
		expect(await hurdles(page)).toEqual([])
		await detail.getByRole('button', { name: 'Close' }).click()
	})

	it('loads no picture of the gallery before it comes into view', async () => {
		await page.setViewportSize({ width: 390, height: 500 })
		await page.reload()
		const image = page.locator('#gallery img').first()
		await image.waitFor({ state: 'attached' })
		expect(await image.getAttribute('src')).toBeNull()
		// Nor is it shown as broken.
		expect(await image.evaluate((unseen) => getComputedStyle(unseen).opacity)).toBe('0')
		await image.scrollIntoViewIfNeeded()
		await expect.poll(() => image.evaluate((seen: HTMLImageElement) => seen.naturalWidth)).toBeGreaterThan(0)
		await page.setViewportSize({ width: 1280, height: 900 })
	})

	it('bears with what goes wrong meanwhile: a server that is away, URLs that have expired, no clipboard, a key that is revoked', async () => {
		const admin = async (method: string, path: string, body = {}) => {
			const headers = { authorization: `Bearer ${stack.adminToken}`, 'content-type': 'application/json' }
			return fetch(`${stack.url}/v1/admin/accounts/${account}/${path}`, { method, headers, body: JSON.stringify(body) })
		}
		const { account } = (await (await stack.fetch('/v1/account')).json()) as { account: string }
		const { id, key } = (await (await admin('POST', 'keys')).json()) as { id: string; key: string }
		const { page, faults } = await openPage(browser, { viewport: { width: 375, height: 812 } })
		await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }))

		await page.route('**/v1/account', (route) => route.abort())
		await page.goto(stack.url)
		await page.getByLabel('API key').fill(key)
		await page.getByRole('button', { name: 'Enter' }).click()
		await page.getByText('The server cannot be reached.').waitFor()
		await page.unroute('**/v1/account')
		// The key need not be typed again.
		await page.getByRole('button', { name: 'Enter' }).click()
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		let refusals = 1
		await page.route('**/darkroom/gen_*/**', (route) => (refusals-- > 0 ? route.fulfill({ status: 403 }) : route.continue()))
		await page.reload()

		const card = page.locator('#gallery article').first()
		await card.scrollIntoViewIfNeeded()
		await page.waitForFunction(() => document.querySelector<HTMLImageElement>('#gallery img')!.naturalWidth > 0)
		await card.getByRole('button').click()
		const detail = page.getByRole('dialog')
		await detail.getByRole('button', { name: 'Copy as curl' }).click()
		await detail.getByText('To be copied by hand, for curl:').waitFor()
		expect(await detail.locator('pre').textContent()).toContain(`curl ${stack.url}/v1/generations`)

		await admin('DELETE', `keys/${id}`)
		page.once('dialog', (dialog) => void dialog.accept())
		await detail.getByRole('button', { name: 'Delete' }).click()
		await detail.getByText('The API key is not valid any more.').waitFor()
		await detail.getByRole('button', { name: 'Close' }).click()
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('alert').getByText('The API key is not valid any more.').waitFor()
		await page.getByText('Asking…').waitFor({ state: 'hidden' })
		expect(faults.filter((fault) => !fault.startsWith('Failed to load resource'))).toEqual([])
		await page.close()
	})

	it('says so beforehand where the credit does not suffice', async () => {
		const { page } = await openPage(browser)
		const headers = { authorization: `Bearer ${stack.adminToken}`, 'content-type': 'application/json' }
		const made = await fetch(`${stack.url}/v1/admin/accounts/poor/keys`, { method: 'POST', headers, body: '{}' })
		await page.goto(stack.url)
		await page.getByLabel('API key').fill(((await made.json()) as { key: string }).key)
		await page.getByRole('button', { name: 'Enter' }).click()
		await page.getByText(/^Costs 0\.\d+, more than your 0\.00$/).waitFor()
		await page.close()
	})

	it('goes on showing what was under way when the page was left', async () => {
		await stack.submit({ model: 'scenes', prompt: 'a large matte green cube', steps: 100, count: 8, width: 256, height: 256 })
		await page.reload()
		await page
			.locator('.development')
			.getByText(/^Developing: \d+ %/)
			.waitFor()
		await page.getByRole('button', { name: 'Cancel' }).click()
		await page
			.locator('.development')
			.getByText(/^Canceled/)
			.waitFor()
	})

	it('starts from a picture of the gallery', async () => {
		await page.locator('#gallery article button').last().click()
		await page.getByRole('button', { name: 'Vary' }).click()
		await page.getByAltText('What it starts from').waitFor()
		await page.getByLabel('Strength').fill('0.3')
		const { request } = await stack.finished(await develop(page))
		expect(request).toMatchObject({ task: 'image-to-image', strength: 0.3, width: 256, height: 256 })
	})

	it('says what is wrong, in the words of the API', async () => {
		// An image by itself has a price.
		await Promise.all([page.waitForResponse('**/v1/account'), page.getByLabel('Prompt').fill('')])
		await page.getByLabel('Task').selectOption('text-to-image')
		await page.getByRole('button', { name: 'Develop' }).click()
		expect(await page.getByLabel('Prompt').evaluate((field) => field.matches(':focus:invalid'))).toBe(true)
		await page.getByLabel('Prompt').fill('x'.repeat(1_001))
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('alert').getByText('/prompt').waitFor()
		await page.getByLabel('Prompt').fill('a cone')
		await page.getByRole('alert').getByText('/prompt').waitFor({ state: 'hidden' })
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
		await develop(page)
		const url = await page.locator('.development img').getAttribute('src')
		const drawn = sharp(Buffer.from(await (await fetch(url!)).arrayBuffer())).removeAlpha()
		/** By how much the reddest pixel of some rows is more red than green. */
		const redness = async (top: number, height: number) => {
			const pixels = await drawn.clone().extract({ left: 0, top, width: side, height }).raw().toBuffer()
			return Math.max(...Array.from({ length: side * height }, (_, i) => pixels[3 * i]! - pixels[3 * i + 1]!))
		}
		expect(await redness(32, 64)).toBeGreaterThan(120)
		expect(await redness(112, 16)).toBeLessThan(40)
		expect(await hurdles(page)).toEqual([])
	})

	it('shows the mask of an example over its image, to go on with or to begin anew', async () => {
		await page.locator('select[name=model]').selectOption('scenes-inpainting')
		const canvas = page.locator('#inputs canvas')
		const painted = () =>
			canvas.evaluate((element: HTMLCanvasElement) => {
				const { data } = element.getContext('2d')!.getImageData(0, 0, element.width, element.height)
				return data.filter((value, i) => i % 4 === 3 && value > 0).length / (element.width * element.height)
			})
		await expect.poll(painted).toBeGreaterThan(0.1)
		expect(await painted()).toBeLessThan(0.5)
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		await page.getByRole('button', { name: 'Clear' }).click()
		expect(await painted()).toBe(0)
		await canvas.click()
		expect(await painted()).toBeGreaterThan(0)
		expect(await hurdles(page)).toEqual([])
	})

	it('is painted on by keyboard, too', async () => {
		const canvas = page.getByRole('application', { name: 'paint over what is to be drawn anew' })
		const painted = () =>
			canvas.evaluate((element) => {
				const { width, height } = element as HTMLCanvasElement
				const { data } = (element as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height)
				return [0.2, 0.5, 0.8].map((part) => data[4 * (Math.floor(width * part) + width * (height >> 1)) + 3]! > 0)
			})
		await page.getByRole('button', { name: 'Clear' }).click()
		for (const _ of ['Undo', 'the size', 'the canvas']) {
			await page.keyboard.press('Shift+Tab')
		}
		await page.getByText('By keyboard: the arrows move the brush').waitFor()
		expect(await painted()).toEqual([false, false, false])
		const before = Number(await page.getByLabel('Brush').inputValue())
		await page.keyboard.press('+')
		expect(Number(await page.getByLabel('Brush').inputValue())).toBeGreaterThan(before)
		await page.keyboard.press('-')
		await page.keyboard.press('Space')
		expect(await painted()).toEqual([false, true, false])
		await page.keyboard.down('Space')
		for (let step = 0; step < 20; step++) {
			await page.keyboard.press('ArrowRight')
		}
		await page.keyboard.up('Space')
		await page.keyboard.press('ArrowLeft')
		expect(await painted()).toEqual([false, true, true])
		await page.getByText(/^Costs 0\.\d+ of /).waitFor()
		expect(await hurdles(page)).toEqual([])
	})

	it('has a reference of the API beside it', async () => {
		// The browser has logged the refusal above.
		trouble.splice(0, trouble.length, ...trouble.filter((text) => !text.includes('422')))
		await page.goto(`${stack.url}/docs#postGenerations`)
		await page.getByRole('heading', { name: 'POST /v1/generations', exact: true }).waitFor()
		const [, body] = / -d '(.*)'$/s.exec((await page.locator('pre').textContent())!)!
		const headers = { 'content-type': 'application/json' }
		expect((await stack.fetch('/v1/generations?dry_run=1', { method: 'POST', headers, body: body! })).status).toBe(200)
		// Its sections are made alike, and many.
		expect(await hurdles(page, ['#operations > :nth-child(n + 5)'])).toEqual([])
	})

	it('has made the browser complain of nothing', () => {
		expect(trouble).toEqual([])
	})
})
