/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { type Stack, startStack } from '../stack.ts'
import { develop as developAsAsked, isMissing, openBrowser, openPage } from './chromium.ts'

const stream = (...events: object[]) => events.map((event, i) => `id: v.${i}\ndata: ${JSON.stringify(event)}\n\n`).join('')
const refusal = { status: 503, contentType: 'application/problem+json', body: '{"detail":"Busy just now."}' }
const unread = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') }
const side = 128
const grey = async () => ({
	name: 'grey.png',
	mimeType: 'image/png',
	buffer: await sharp({ create: { width: side, height: side, channels: 3, background: 'grey' } })
		.png()
		.toBuffer()
})

describe.skipIf(isMissing)('the pages bear with', () => {
	let stack: Stack
	let browser: Browser
	beforeAll(async () => {
		;[stack, browser] = await Promise.all([startStack(), openBrowser()])
		await (await openPage(browser)).page.goto(stack.url) // It stays open, and the others have its process.
	})
	afterAll(async () => {
		await Promise.all([stack?.close(), browser?.close()])
	})

	/** A page of its own, and what it complained about beside answers that are no success. */
	const open = async (options: Parameters<typeof openPage>[1] = {}) => {
		const { page, faults } = await openPage(browser, { viewport: { width: 1280, height: 900 }, ...options })
		onTestFinished(() => page.close())
		return { page, complaints: () => faults.filter((fault) => !fault.startsWith('Failed to load resource')) }
	}
	const enter = async (page: Page, path = '') => {
		await page.goto(`${stack.url}${path}`)
		await page.getByLabel('API key').fill(stack.apiKey)
		await page.keyboard.press('Enter')
	}
	const develop = async (page: Page) => {
		await page.getByRole('spinbutton', { name: 'Steps' }).fill('2')
		return developAsAsked(page)
	}
	const costs = (page: Page) => page.getByText(/^Costs 0\.\d+ of /)

	it('a gallery that cannot be had: there is developing all the same, and the button asks again', async () => {
		const { page, complaints } = await open()
		await page.route('**/v1/generations?limit=*', (route) => route.fulfill(refusal))
		await enter(page)
		await page.getByText('Busy just now.').waitFor()
		const id = await develop(page)
		await page.unroute('**/v1/generations?limit=*')
		await page.getByRole('button', { name: 'Older ones' }).click()
		await page.getByRole('button', { name: 'Older ones' }).waitFor({ state: 'hidden' })
		expect(await page.locator(`#gallery article[data-id="${id}"]`).count()).toBe(1)
		expect(complaints()).toEqual([])
	})

	it('a catalog that cannot be had: nothing is shown that would not work', async () => {
		const { page } = await open()
		await page.route('**/v1/models', (route) => route.fulfill(refusal))
		await enter(page)
		await page.getByText('Busy just now.').waitFor()
		expect(await page.getByRole('button', { name: 'Develop' }).isVisible()).toBe(false)
	})

	it('a key that is entered again while the first answer is awaited', async () => {
		const { page } = await open()
		let catalogs = 0
		page.on('request', (request) => {
			catalogs += request.url().endsWith('/v1/models') ? 1 : 0
		})
		const answers: (() => void)[] = []
		let isHeld = true
		await page.route('**/v1/account', async (route) => {
			if (isHeld) {
				await new Promise<void>((resolve) => answers.push(resolve))
			}
			await route.continue()
		})
		await enter(page)
		await page.getByLabel('API key').fill(stack.apiKey)
		await page.keyboard.press('Enter')
		await expect.poll(() => answers.length).toBe(1)
		isHeld = false
		for (const answer of answers) {
			answer()
		}
		await costs(page).waitFor()
		expect(catalogs).toBe(1)
	})

	it('a field that is wrong and out of sight: it is left out, or shown', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await page.getByLabel('Width').fill('9999')
		await page.getByLabel('Task').selectOption('image-to-image')
		await page.getByLabel('Image', { exact: true }).setInputFiles(await grey())
		await develop(page)
		await page.getByText('Finer settings').click()
		await page.getByLabel('Guidance').fill('999')
		await page.getByText('Finer settings').click()
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByLabel('Guidance').waitFor()
		expect(await page.getByLabel('Guidance').evaluate((field) => field === document.activeElement)).toBe(true)
		expect(complaints()).toEqual([])
	})

	it.each(['image-to-image', 'inpainting'])('a file that is no picture, for %s: what was there before stays', async (task) => {
		const { page, complaints } = await open()
		await enter(page)
		await page.getByLabel('Task').selectOption(task)
		const image = page.getByLabel('Image', { exact: true })
		await image.setInputFiles(await grey())
		const shown = page.locator('#inputs :is(.source, canvas)')
		await shown.waitFor()
		await image.setInputFiles(unread)
		await page.getByText('notes.txt is no picture').waitFor()
		expect(await shown.count()).toBe(1)
		if (task === 'image-to-image') {
			await develop(page)
		}
		expect(complaints()).toEqual([])
	})

	it('a picture that is larger than any that is taken, or that the model takes none of: it says so', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		await page.getByLabel('Task').selectOption('image-to-image')
		const buffer = Buffer.concat([(await grey()).buffer, Buffer.alloc(10 * 1024 * 1024)])
		await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'huge.png', mimeType: 'image/png', buffer })
		await page.getByText('huge.png is larger than 10 MiB').waitFor()
		expect(await page.locator('.source').count()).toBe(0)
		await page.locator('select[name=model]').selectOption('scenes-classes')
		await page.locator('body').evaluate((body) => {
			const dataTransfer = new DataTransfer()
			dataTransfer.items.add(new File([], 'grey.png'))
			body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }))
		})
		await page.getByRole('alert').getByText('This model starts from no picture.').waitFor()
	})

	it('painting: it is told what it will cost as soon as there is a mask', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		await page.getByLabel('Task').selectOption('inpainting')
		const button = page.getByRole('button', { name: 'Develop' })
		await button.click()
		await page.getByRole('alert').getByText('Choose an image first.').waitFor()
		await page.getByLabel('Image', { exact: true }).setInputFiles(await grey())
		const canvas = page.locator('#inputs canvas')
		await canvas.waitFor()
		await costs(page).waitFor({ state: 'hidden' })
		await button.click()
		await page.getByRole('alert').getByText('Paint over what is to be drawn anew first, or choose a mask.').waitFor()
		await canvas.click({ button: 'right' })
		const blank = (element: HTMLCanvasElement) => !element.getContext('2d')!.getImageData(0, 0, 128, 128).data.some(Boolean)
		expect(await canvas.evaluate(blank)).toBe(true)
		await canvas.click()
		const [ring, whole] = [(await page.locator('.ring').boundingBox())!, (await canvas.boundingBox())!]
		expect(ring.width / whole.width).toBeCloseTo(Number(await page.getByLabel('Brush').inputValue()) / side, 1)
		await costs(page).waitFor()
		await page.getByRole('button', { name: 'Undo' }).click()
	})

	it('a reload, another model, another task: what was typed and chosen is there still', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		const one = await costs(page).textContent()
		await page.getByLabel('Prompt').fill('a cone of mine')
		await page.getByLabel('Pictures').fill('2')
		await expect.poll(() => costs(page).textContent()).not.toBe(one)
		await page.getByLabel('Prompt').fill('a cone of mine and nobody else')
		await page.reload()
		await costs(page).waitFor()
		expect(await page.getByLabel('Prompt').inputValue()).toBe('a cone of mine and nobody else')
		await page.getByLabel('Prompt').fill('a cone of mine')
		expect(await page.getByLabel('Pictures').inputValue()).toBe('2')
		for (const model of ['scenes-classes', 'scenes-inpainting', 'scenes']) {
			await page.locator('select[name=model]').selectOption(model)
		}
		expect(await page.getByLabel('Prompt').inputValue()).toBe('a cone of mine')
		await page.getByLabel('Task').selectOption('image-to-image')
		await page.getByLabel('Image', { exact: true }).setInputFiles(await grey())
		await page.getByAltText('What it starts from').waitFor()
		await page.getByLabel('Task').selectOption('inpainting')
		await page.locator('#inputs canvas').waitFor()
		await page.getByRole('button', { name: 'Forget the key' }).click()
		await page.getByLabel('API key').waitFor()
		expect(await page.evaluate('sessionStorage.length')).toBe(0)
		expect(complaints()).toEqual([])
	})

	it.each(['paste', 'drop'])('a picture that comes by %s: it is chosen, and a task that takes one', async (way) => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		const bytes = [...(await grey()).buffer]
		const isLeft = await page.getByLabel('Prompt').evaluate(
			(field, { bytes, way }) => {
				const data = new DataTransfer()
				data.items.add(new File([new Uint8Array(bytes)], 'grey.png', { type: 'image/png' }))
				const about = { bubbles: true, cancelable: true }
				return field.dispatchEvent(
					way === 'paste'
						? new ClipboardEvent('paste', { ...about, clipboardData: data })
						: new DragEvent('drop', { ...about, dataTransfer: data })
				)
			},
			{ bytes, way }
		)
		expect(isLeft).toBe(false)
		await page.getByAltText('What it starts from').waitFor()
		expect((await stack.finished(await develop(page))).request.task).toBe('image-to-image')
		expect(complaints()).toEqual([])
	})

	it('a prompt that is longer than what the model reads: the page says what was left out', async () => {
		const { page } = await open()
		await enter(page)
		await page.getByLabel('Prompt').fill('a red cube and '.repeat(60))
		await page.getByLabel('Prompt').press('Control+Enter')
		await page.locator('.development').getByText('The prompt is longer').waitFor()
		await page.locator('.development').getByRole('button', { name: 'Open' }).click()
		await page.getByRole('dialog').getByText('The prompt is longer').waitFor()
	})

	it('a Delete that was not meant: it asks first, and what is gone is gone everywhere', async () => {
		const { page } = await open()
		await enter(page)
		const id = await develop(page)
		await page.getByRole('button', { name: 'Open' }).click()
		const [dismissed, accepted] = [false, true].map(
			(answer) => () => page.once('dialog', (dialog) => void (answer ? dialog.accept() : dialog.dismiss()))
		)
		const remove = page.getByRole('dialog').getByRole('button', { name: 'Delete' })
		dismissed!()
		await remove.click()
		expect((await stack.fetch(`/v1/generations/${id}`)).status).toBe(200)
		accepted!()
		await remove.click()
		await page.getByText('Deleted.').waitFor()
		expect(await page.locator(`[data-id="${id}"]`).count()).toBe(0)
		expect((await stack.fetch(`/v1/generations/${id}`)).status).toBe(404)
	})

	it('what was deleted elsewhere: it is taken down where somebody asks for it', async () => {
		const { page } = await open()
		await enter(page)
		const id = await develop(page)
		await stack.fetch(`/v1/generations/${id}`, { method: 'DELETE' })
		await page.locator(`#gallery [data-id="${id}"]`).getByRole('button').click()
		await page.getByText('Deleted.').waitFor()
		expect(await page.locator(`[data-id="${id}"]`).count()).toBe(0)
	})

	it('what was deleted elsewhere while it is looked at: to delete it takes it down, too', async () => {
		const { page } = await open()
		await enter(page)
		const id = await develop(page)
		await page.getByRole('button', { name: 'Open' }).click()
		const remove = page.getByRole('dialog').getByRole('button', { name: 'Delete' })
		await remove.waitFor()
		await stack.fetch(`/v1/generations/${id}`, { method: 'DELETE' })
		page.once('dialog', (dialog) => void dialog.accept())
		await remove.click()
		await page.getByText('Deleted.').waitFor()
		expect(await page.locator(`[data-id="${id}"]`).count()).toBe(0)
	})

	it('a line that is down when a picture is done: it is seen as soon as the line is back', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		let isDown = true
		await page.route(/\/darkroom\/gen_|\/v1\/generations\/gen_[^/]*$/, (route) =>
			isDown ? route.abort('internetdisconnected') : route.continue()
		)
		const id = await develop(page)
		await page.locator('#said').getByText('The server cannot be reached.').waitFor()
		isDown = false
		const width = (image: HTMLImageElement) => image.naturalWidth
		for (const place of ['.development', '#gallery']) {
			await expect
				.poll(() => page.locator(`${place}[data-id="${id}"] img, ${place} [data-id="${id}"] img`).evaluate(width))
				.toBe(side)
		}
		expect(await page.locator('#said').textContent()).toBe('')
		expect(complaints()).toEqual([])
	})

	it('a page that a browser translates: it orders what was chosen, and says nothing twice', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		const written = await page.evaluateHandle(() => {
			const written: string[] = []
			// As Chrome does: each text is in another element, in other words.
			const translate = (node: Node) => {
				const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT)
				const texts: Text[] = []
				while (walker.nextNode()) {
					texts.push(walker.currentNode as Text)
				}
				for (const text of texts.filter(({ data, parentElement }) => data.trim() && !parentElement!.closest('font, textarea'))) {
					const font = document.createElement('font')
					font.append(`«${text.data}»`)
					text.replaceWith(font)
				}
			}
			translate(document.body)
			new MutationObserver((records) => {
				for (const { addedNodes, target } of records) {
					for (const node of addedNodes) {
						if ((target as Element).matches('.development [role=status]') && node instanceof Text) {
							written.push(node.data)
						}
					}
					translate(target)
				}
			}).observe(document.body, { childList: true, subtree: true })
			return written
		})
		await page.getByText('Finer settings').click()
		await page.locator('[name=output_format]').selectOption({ index: 2 })
		await page.locator('[name=steps]').fill('60')
		await page.locator('[name=width]').fill('256')
		await page.getByRole('button', { name: 'Develop' }).click()
		const card = page.locator('.development')
		await card.getByText(/Done/).waitFor()
		const id = (await card.getAttribute('data-id'))!
		expect((await stack.finished(id)).request.output_format).toBe('jpeg')
		expect((await written.jsonValue()).filter((text) => text === 'Developing')).toEqual(['Developing'])
		expect(complaints()).toEqual([])
	})

	it('older pictures: a keyboard goes on where they begin', async () => {
		for (const steps of [1, 2]) {
			await stack.finished((await stack.submit({ model: 'scenes', prompt: 'a cone', steps })).id)
		}
		const { page } = await open()
		await page.route('**/v1/generations?limit=24*', (route) =>
			route.continue({ url: route.request().url().replace('limit=24', 'limit=1') })
		)
		await enter(page)
		await page.getByRole('button', { name: 'Older ones' }).press('Enter')
		await page.locator('#gallery article:nth-child(2) button:focus').waitFor()
	})

	it('answers that overtake each other: the price is that of what is asked for', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		const one = await costs(page).textContent()
		const held: (() => void)[] = []
		await page.route('**/v1/generations?dry_run=*', async (route) => {
			if (route.request().postDataJSON().count === 8) {
				await new Promise<void>((resolve) => held.push(resolve))
			}
			await route.continue()
		})
		await page.getByLabel('Pictures').fill('8')
		await expect.poll(() => held.length).toBe(1)
		const isQuote = (count: number) => (answer: { request(): { postDataJSON(): { count: number } | null } }) =>
			answer.request().postDataJSON()?.count === count
		const [first] = await Promise.all([page.waitForResponse(isQuote(1)), page.getByLabel('Pictures').fill('1')])
		await first.finished()
		const [last] = await Promise.all([page.waitForResponse(isQuote(8)), held[0]!()])
		await last.finished()
		// Whatever follows from an answer has followed when the page has been asked twice.
		await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)))
		expect(await costs(page).textContent()).toBe(one)
	})

	it('an answer that takes long: it is said to be asked for, whatever was typed just before', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		const asked = Promise.withResolvers<void>()
		await page.route('**/v1/generations', async (route) => {
			await asked.promise
			await route.continue()
		})
		await page.getByRole('spinbutton', { name: 'Steps' }).fill('2')
		await page.getByLabel('Prompt').press('Control+Enter')
		// The price of what was typed is asked for 0.4 s after it.
		await page.waitForTimeout(1_000)
		expect(await page.locator('#price').textContent()).toBe('Asking…')
		asked.resolve()
		await costs(page).waitFor()
	})

	it('an order whose answers are lost: asked for again, it is the same order', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		const prompt = `a cone that is ordered once, ${performance.now()}` // No other try's.
		await page.getByLabel('Prompt').fill(prompt)
		await page.getByLabel('Seed').fill('')
		await page.route('**/v1/generations', async (route) => {
			await route.fetch()
			await route.abort('internetdisconnected')
		})
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('alert').getByText('The server cannot be reached.').waitFor()
		await page.unroute('**/v1/generations')
		const first = await developAsAsked(page)
		const ordered = async () => {
			const { generations } = (await (await stack.fetch('/v1/generations')).json()) as { generations: Generation[] }
			return generations.filter(({ request }) => request.prompt === prompt).map(({ id }) => id)
		}
		expect(await ordered()).toEqual([first])
		// Answered, it is another one.
		const second = await developAsAsked(page)
		expect(await ordered()).toEqual([second, first])
		expect(complaints()).toEqual([])
	})

	it('a keyboard: where what it holds goes away, it goes on from there', async () => {
		const { page, complaints } = await open()
		const held = (selector: string) => page.locator(`${selector}:focus`).waitFor()
		await enter(page)
		await costs(page).waitFor()
		await held('main')
		await page.keyboard.press('Tab')
		await held('[name=model]')
		await page.locator('select[name=model]').selectOption('scenes-layout')
		await page.getByRole('group', { name: 'A box' }).first().getByRole('button', { name: 'Remove the box' }).focus()
		await page.keyboard.press('Enter')
		await held('.boxes > :first-child button')
		for (let left = await page.locator('.boxes > div').count(); left > 0; left--) {
			await page.keyboard.press('Enter')
		}
		await page.getByRole('button', { name: 'Add in the middle' }).and(page.locator(':focus')).waitFor()
		await page.locator('select[name=model]').selectOption('scenes-unconditional')
		const cancel = page.getByRole('button', { name: 'Cancel' })
		const { id: older } = await stack.finished((await stack.submit({ model: 'scenes-unconditional', steps: 1 })).id)
		const seen = Promise.withResolvers<void>()
		await page.route('**/events', async (route) => {
			await seen.promise
			await route.continue()
		})
		await page.getByRole('button', { name: 'Develop' }).press('Enter')
		await cancel.focus()
		seen.resolve()
		await page.getByText(/^Done/).waitFor()
		await page.getByRole('button', { name: 'Open' }).and(page.locator(':focus')).waitFor()
		await page.getByLabel('Pictures').fill('8') // Under way still when it is canceled.
		await page.getByRole('spinbutton', { name: 'Steps' }).fill('100')
		await page.keyboard.press('Enter')
		await cancel.press('Enter')
		await page.getByText(/^Canceled/).waitFor()
		await held('.development')
		await page.reload()
		await page.locator(`#gallery [data-id="${older}"] button`).press('Enter')
		await page.getByRole('button', { name: 'Use again' }).press('Enter')
		await held('[name=model]')
		await page.locator(`#gallery article:not([data-id="${older}"]) button`).first().press('Enter')
		page.once('dialog', (dialog) => void dialog.accept())
		await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).press('Enter')
		await held(`#gallery [data-id="${older}"] button`)
		expect(complaints()).toEqual([])
	})

	it.each(['', '/account', '/docs'])('a browser without JavaScript, at %s/: it is told', async (path) => {
		const context = await browser.newContext({ javaScriptEnabled: false })
		onTestFinished(() => context.close())
		const page = await context.newPage()
		await page.goto(`${stack.url}${path}`)
		await page.locator('noscript a').click()
		await page.waitForURL('**/openapi.json')
	})

	it.each(['', '/account', '/docs'])('a slow line, at %s/: whoever waits is told so', async (path) => {
		const { page } = await open()
		const waited = Promise.withResolvers<void>()
		await page.route('**/site/*.js', async (route) => {
			await waited.promise
			await route.continue()
		})
		await page.goto(`${stack.url}${path}`, { waitUntil: 'commit' })
		const told = () =>
			page.evaluate(() =>
				['main', '#about'].some((selector) => {
					const place = document.querySelector(selector)
					const { content, visibility } = place ? getComputedStyle(place, '::before') : { content: '', visibility: '' }
					return content === '"Loading…"' && visibility === 'visible'
				})
			)
		await expect.poll(told, { timeout: 5_000 }).toBe(true)
		waited.resolve()
		await expect.poll(told, { timeout: 5_000 }).toBe(false)
	})

	it('a reader who has letters larger: the pages have them as large', async () => {
		const { page } = await open()
		const session = await page.context().newCDPSession(page)
		await session.send('Page.setFontSizes', { fontSizes: { standard: 24 } })
		await page.goto(stack.url)
		expect(await page.evaluate(() => getComputedStyle(document.body).fontSize)).toBe('24px')
	})

	it('a tablet: a field of the reference is read in lines, and a keyboard stops where there is something to do', async () => {
		const { page } = await open()
		await page.goto(`${stack.url}/docs`)
		await page.locator('#errors table').waitFor()
		await page.locator('details').evaluateAll((all) => {
			for (const one of all) {
				;(one as HTMLDetailsElement).open = true
			}
		})
		for (const width of [320, 640, 768, 1_024, 1_025, 1_280]) {
			await page.setViewportSize({ width, height: 900 })
			expect([width, await page.evaluate(() => document.documentElement.scrollWidth)]).toEqual([width, width])
			const widths = (cells: Element[]) => cells.filter((cell) => cell.textContent === 'always').map((cell) => cell.clientWidth)
			expect(Math.min(...(await page.locator('td:nth-child(2)').evaluateAll(widths)))).toBeGreaterThan(50)
		}
		expect(await page.locator('table').locator('..').and(page.locator('[tabindex]')).count()).toBe(0)
	})

	it('a large image: it is sent once to ask for the price, whatever is typed then', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		await page.locator('select[name=task]').selectOption('image-to-image')
		let sent = 0
		page.on('request', (request) => {
			sent += request.url().includes('dry_run') && request.postDataJSON().image ? 1 : 0
		})
		/** What is done, until its price is known. */
		const priced = (act: () => Promise<void>) => Promise.all([page.waitForResponse('**/v1/account'), act()])
		await priced(async () => page.getByLabel('Image', { exact: true }).setInputFiles(await grey()))
		await priced(() => page.getByLabel('Prompt').fill('a large shiny green sphere'))
		await priced(() => page.getByLabel('Seed').fill('7'))
		expect(sent).toBe(1)
		await priced(() => page.getByLabel('Steps').fill('9'))
		expect(sent).toBe(2)
	})

	it('a connection that is lost while it draws: it is taken up again', async () => {
		const { page, complaints } = await open()
		await enter(page)
		let asked = 0
		const begun = stream({ type: 'status', status: 'processing' }, { type: 'progress', done: 0, total: 100 })
		const again = stream(
			{ type: 'status', status: 'processing' },
			...[0, 50].map((done) => ({ type: 'progress', done, total: 100 }))
		)
		const seen = Promise.withResolvers<void>()
		await page.route('**/v1/generations/*/events', async (route) => {
			asked++
			if (asked === 1 || asked === 4) {
				return route.fulfill({ contentType: 'text/event-stream', body: asked === 1 ? begun : again })
			}
			if (asked < 4) {
				return route.abort('internetdisconnected')
			}
			await seen.promise
			return route.continue()
		})
		const drawn = develop(page)
		const card = page.locator('.development')
		await card.getByText('Trying again…').waitFor()
		// By the pace since it goes on.
		await card.getByText(/^Developing: 50 %, about [01] s$/).waitFor()
		expect(await card.getByText('Trying again…').count()).toBe(0)
		seen.resolve()
		await drawn
		expect(await page.locator('#trouble').textContent()).toBe('')
		expect(complaints()).toEqual([])
	})

	it('a connection that stays open while it draws, and falls silent: it is given up, and taken up again', async () => {
		let left = 0
		const silent = createServer((_, response) => {
			response.writeHead(200, { 'content-type': 'text/event-stream' })
			response.write(stream({ type: 'status', status: 'processing' }, { type: 'progress', done: 1, total: 4 }))
			response.on('close', () => left++)
		})
		await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
		onTestFinished(() => void silent.close())
		const { page, complaints } = await open()
		await page.clock.install()
		await enter(page)
		const asked: (string | undefined)[] = []
		await page.route('**/v1/generations/*/events', (route) => {
			asked.push(route.request().headers()['last-event-id'])
			const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`
			return asked.length === 1 ? route.continue({ url }) : route.continue()
		})
		const drawn = develop(page)
		const card = page.locator('.development')
		await card.getByText('Developing: 25 %').waitFor()
		await page.clock.fastForward(30_000) // Ours may be as silent.
		expect([asked, left]).toEqual([[undefined], 0])
		await page.clock.fastForward(20_000)
		await drawn
		expect([asked, left]).toEqual([[undefined, 'v.1'], 1])
		expect(await page.locator('#trouble').textContent()).toBe('')
		expect(complaints()).toEqual([])
	})

	it('an order that nobody answers: it ends in a word, and asked for again it is the same order', async () => {
		const { page, complaints } = await open()
		await page.clock.install()
		await enter(page)
		await costs(page).waitFor()
		const prompt = `a cone that nobody answers for, ${performance.now()}` // No other try's.
		await page.getByLabel('Prompt').fill(prompt)
		await page.getByLabel('Seed').fill('')
		let taken = 0
		await page.route('**/v1/generations', async (route) => {
			await route.fetch()
			taken++
		})
		await page.getByRole('button', { name: 'Develop' }).click()
		const word = page.getByRole('alert').getByText('The server did not answer within 30 seconds.')
		for (const times of [1, 2]) {
			await expect.poll(() => taken).toBe(times)
			expect(await page.locator('#price').textContent()).toBe('Asking…')
			await page.clock.fastForward(31_000)
		}
		await word.waitFor()
		await costs(page).waitFor()
		await page.unroute('**/v1/generations')
		const id = await developAsAsked(page)
		expect(await word.count()).toBe(0)
		const { generations } = (await (await stack.fetch('/v1/generations')).json()) as { generations: Generation[] }
		expect(generations.filter(({ request }) => request.prompt === prompt).map((one) => one.id)).toEqual([id])
		expect(complaints()).toEqual([])
	})

	it('a key that is forgotten on another page: whoever goes back has it no longer', async () => {
		const browser = await openBrowser({ goesBack: true })
		onTestFinished(() => browser.close())
		const { page } = await openPage(browser)
		await enter(page)
		await costs(page).waitFor()
		await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (document.title = `kept: ${persisted}`)))
		await page.getByRole('link', { name: 'Account' }).click()
		await page.getByRole('heading', { name: 'Limits' }).waitFor()
		await page.goBack({ waitUntil: 'commit' })
		await expect.poll(() => page.title()).toBe('kept: true')
		await costs(page).waitFor()
		await page.goForward({ waitUntil: 'commit' })
		await page.getByRole('button', { name: 'Forget the key' }).click()
		await page.getByLabel('API key').waitFor()
		await page.goBack({ waitUntil: 'commit' })
		await page.getByRole('heading', { name: 'Watch a picture develop' }).waitFor()
		expect(await page.getByRole('button', { name: 'Develop' }).isVisible()).toBe(false)
	})

	it('a key that is revoked while it draws: it is not waited for any longer', async () => {
		const { page } = await open()
		await enter(page)
		const detail = 'The API key is not valid any more.'
		await page.route('**/v1/generations/*/events', (route) =>
			route.fulfill({ status: 401, contentType: 'application/problem+json', body: JSON.stringify({ detail }) })
		)
		await page.getByRole('button', { name: 'Develop' }).click()
		await page.getByRole('alert').getByText(detail).waitFor()
		expect(await page.getByRole('button', { name: 'Cancel' }).isVisible()).toBe(false)
		expect(await page.getByRole('progressbar').isVisible()).toBe(false)
	})

	it('what hangs in the gallery half done: it hangs there once', async () => {
		const drawn = await stack.finished((await stack.submit({ model: 'scenes', prompt: 'a cube half done', steps: 1 })).id)
		const { page } = await open()
		await page.route('**/v1/generations?limit=*', async (route) => {
			const answer = await route.fetch()
			const list = (await answer.json()) as { generations: Generation[] }
			list.generations = list.generations.map((one) => (one.id === drawn.id ? { ...one, status: 'processing' } : one))
			await route.fulfill({ response: answer, json: list })
		})
		await enter(page)
		await page.locator(`.development[data-id="${drawn.id}"]`).getByText(/^Done/).waitFor()
		await costs(page).waitFor()
		expect(await page.locator(`#gallery article[data-id="${drawn.id}"]`).count()).toBe(1)
	})

	it('another order while one is under way: both are seen to their end, also after a reload', async () => {
		const { page, complaints } = await open()
		await enter(page)
		await costs(page).waitFor()
		const long = { model: 'scenes', prompt: 'a large matte green cube', steps: 100, count: 8, width: 256, height: 256 }
		const { id: first } = await stack.submit({ ...long, width: 96 })
		await page.reload()
		await page.locator(`.development[data-id="${first}"]`).waitFor()
		const { id: second } = await stack.submit(long)
		await page.reload()
		const cards = page.locator('.development')
		await cards.nth(1).waitFor()
		expect(await cards.evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset.id))).toEqual([second, first])
		const card = (id: string) => page.locator(`.development[data-id="${id}"]`)
		// A tall one, too, leaves room for what is below it.
		expect((await card(first).locator('.tray').boundingBox())!.height).toBeLessThanOrEqual(12 * 16)
		await card(first).getByRole('button', { name: 'Cancel' }).click()
		await card(first)
			.getByText(/^Canceled/)
			.waitFor()
		await develop(page)
		// What has ended made room for it.
		expect(await card(first).count()).toBe(0)
		await card(second).getByRole('button', { name: 'Cancel' }).click()
		await card(second)
			.getByText(/^Canceled/)
			.waitFor()
		expect(complaints()).toEqual([])
	})

	it('several pictures: each is looked at, kept and gone on from by itself', async () => {
		const { page, complaints } = await open()
		const drawn = await stack.finished(
			(await stack.submit({ model: 'scenes', prompt: 'two cones', steps: 1, count: 2, seed: 7 })).id
		)
		const { id: newer } = await stack.finished((await stack.submit({ model: 'scenes', prompt: 'one cone', steps: 1 })).id)
		await enter(page)
		await page.locator(`#gallery [data-id="${newer}"] button`).click()
		const detail = page.getByRole('dialog')
		expect(await detail.getByRole('button', { name: 'Before' }).isDisabled()).toBe(true)
		await page.keyboard.press('ArrowRight')
		await detail.getByText('two cones', { exact: true }).waitFor()
		await page.keyboard.press('ArrowRight')
		const [, second] = drawn.images
		await detail.getByText(String(second!.seed), { exact: true }).waitFor()
		const [file] = await Promise.all([page.waitForEvent('download'), detail.getByRole('button', { name: 'Download' }).click()])
		expect(file.suggestedFilename()).toBe(`${drawn.id}-1.png`)
		const there = Buffer.from(await (await fetch(second!.url)).arrayBuffer())
		expect(readFileSync(await file.path()).equals(there)).toBe(true)
		await detail.getByRole('button', { name: 'Only this one' }).click()
		const again = await stack.finished(await developAsAsked(page))
		expect(again.request).toEqual({ ...drawn.request, seed: 8, count: 1 })
		await page.locator(`#gallery [data-id="${drawn.id}"] button`).click()
		await detail.getByRole('button', { name: 'Picture 2' }).click()
		await detail.getByRole('button', { name: 'Vary' }).click()
		// The picture itself, and no URL that expires.
		const source = await page.getByAltText('What it starts from').getAttribute('src')
		expect(source).toBe(`data:image/png;base64,${there.toString('base64')}`)
		expect(complaints()).toEqual([])
	})

	it('what is used again: it is asked for in full, and its mask is there to paint on', async () => {
		const { page, complaints } = await open()
		const half = { create: { width: side, height: side / 2, channels: 3, background: 'white' } } as const
		const mask = await sharp({ create: { ...half.create, height: side, background: 'black' } })
			.composite([{ input: await sharp(half).png().toBuffer(), gravity: 'north' }])
			.png()
			.toBuffer()
		const uri = (bytes: Buffer) => `data:image/png;base64,${bytes.toString('base64')}`
		const { request } = await stack.finished(
			(
				await stack.submit({
					...{ model: 'scenes', prompt: 'a cone in part', image: uri((await grey()).buffer), mask: uri(mask), steps: 3 },
					...{ sampler: 'ddim', eta: 0.5, guidance_rescale: 0.3, output_format: 'jpeg', output_quality: 40, strength: 0.9 }
				})
			).id
		)
		await enter(page)
		await page.getByRole('button', { name: 'a cone in part' }).first().click()
		await page.getByRole('button', { name: 'Use again' }).click()
		const painted = (element: HTMLCanvasElement) => {
			const { data } = element.getContext('2d')!.getImageData(0, 0, element.width, element.height)
			return data.filter((value, i) => i % 4 === 3 && value > 0).length / (element.width * element.height)
		}
		const canvas = page.locator('#inputs canvas')
		await canvas.waitFor()
		await expect.poll(() => canvas.evaluate(painted)).toBe(0.5)
		const again = await stack.finished(await developAsAsked(page))
		expect(again.request).toEqual(request)
		await canvas.click({ position: { x: 40, y: 300 } })
		const other = await stack.finished(await developAsAsked(page))
		expect(other.request).toMatchObject({ image: request.image, mask: expect.not.stringContaining(request.mask!) })
		expect(complaints()).toEqual([])
	})

	it('a tall picture: it is seen whole', async () => {
		const { page } = await open()
		await enter(page)
		await costs(page).waitFor()
		await page.getByLabel('Width').fill('96')
		await page.getByLabel('Height').fill('256')
		await develop(page)
		const { width, height } = (await page.locator('.development .frame').boundingBox())!
		expect(height).toBeLessThan(900)
		expect(height / width).toBeCloseTo(256 / 96, 1)
	})

	it('the dark: boxes that are there at first are seen', async () => {
		const { page } = await open({ colorScheme: 'dark' })
		await enter(page)
		await page.locator('select[name=model]').selectOption('scenes-layout')
		const lightest = (element: HTMLCanvasElement) =>
			element
				.getContext('2d')!
				.getImageData(0, 0, element.width, element.height)
				.data.filter((_, i) => i % 4 === 0)
				.reduce((most, red) => Math.max(most, red))
		await expect.poll(() => page.locator('#inputs canvas').evaluate(lightest)).toBeGreaterThan(200)
	})

	it('a model that is gone: its request is for the one that was chosen', async () => {
		const { page, complaints } = await open()
		const prompt = `a cone of old, ${performance.now()}` // No other try's.
		await stack.finished((await stack.submit({ model: 'scenes', prompt, steps: 1 })).id)
		await page.route('**/v1/generations/gen_*', async (route) => {
			const answer = await route.fetch()
			const one = (await answer.json()) as Generation
			await route.fulfill({ response: answer, json: { ...one, request: { ...one.request, model: 'long-gone' } } })
		})
		await enter(page)
		await page.getByRole('button', { name: prompt }).click()
		await page.getByRole('button', { name: 'Use again' }).click()
		expect(await page.locator('select[name=model]').inputValue()).toBe('scenes')
		expect(await page.getByLabel('Prompt').inputValue()).toBe(prompt)
		await develop(page)
		expect(complaints()).toEqual([])
	})

	it('many classes: a keyboard chooses one of them in one stop', async () => {
		const { page } = await open()
		await enter(page)
		await page.locator('select[name=model]').selectOption('scenes-semantic')
		const radios = page.getByRole('radio')
		await radios.first().focus()
		await page.keyboard.press('ArrowDown')
		expect(await radios.nth(1).isChecked()).toBe(true)
		await page.keyboard.press('Tab')
		expect(await page.getByRole('application', { name: 'The map' }).evaluate((one) => one === document.activeElement)).toBe(true)
		expect((await stack.finished(await develop(page))).request.semantic_map).toMatch(/^upl_/)
	})

	it('a phone: a second finger draws nothing, two scroll, and no form is wider than its panel', async () => {
		const { page } = await open({ viewport: { width: 375, height: 812 }, hasTouch: true })
		await enter(page)
		await costs(page).waitFor()
		await page.locator('select[name=model]').selectOption('scenes-semantic')
		const canvas = page.locator('#inputs canvas')
		// The example's map takes the place of an empty one.
		const colours = (element: HTMLCanvasElement) =>
			new Set(new Uint32Array(element.getContext('2d')!.getImageData(0, 0, 128, 128).data.buffer)).size
		await expect.poll(() => canvas.evaluate(colours)).toBeGreaterThan(1)
		await canvas.scrollIntoViewIfNeeded()
		const { x, y, width, height } = (await canvas.boundingBox())!
		const at = (dx: number, dy: number) => ({ x: x + width * dx, y: y + height * dy })
		const pixels = () => canvas.evaluate((element: HTMLCanvasElement) => element.toDataURL())
		const touches = await page.context().newCDPSession(page)
		const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...touchPoints: { x: number; y: number }[]) =>
			touches.send('Input.dispatchTouchEvent', { type, touchPoints })
		const before = await pixels()
		await touch('touchStart', at(0.2, 0.2))
		await touch('touchMove', at(0.8, 0.2))
		const one = await pixels()
		expect(one).not.toBe(before)
		await touch('touchStart', at(0.8, 0.2), at(0.2, 0.9))
		await touch('touchMove', at(0.8, 0.2), at(0.8, 0.9))
		expect(await pixels()).toBe(one)
		await touch('touchEnd')
		const scrolled = await page.evaluate(() => scrollY)
		await touch('touchStart', at(0.3, 0.8))
		await touch('touchStart', at(0.3, 0.8), at(0.7, 0.8))
		for (let step = 1; step < 20; step++) {
			await touch('touchMove', at(0.3, 0.8 - step / 40), at(0.7, 0.8 - step / 40))
		}
		await touch('touchEnd')
		await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(scrolled + 50)
		expect(await pixels()).toBe(one)
		for (const model of await page
			.locator('select[name=model] option')
			.evaluateAll((all) => all.map((one) => (one as HTMLOptionElement).value))) {
			await page.locator('select[name=model]').selectOption(model)
			const wide = await page.locator('#order').evaluate((form) => form.scrollWidth - form.clientWidth)
			expect([model, wide]).toEqual([model, 0])
		}
		// Nor than its field a number, on the smallest.
		await page.setViewportSize({ width: 320, height: 640 })
		await page.locator('select[name=model]').selectOption('scenes-layout')
		await page.getByLabel('left').first().waitFor()
		const cut = (fields: Element[]) => fields.filter((field) => field.scrollWidth > field.clientWidth).length
		expect(await page.locator('.boxes input').evaluateAll(cut)).toBe(0)
		// Nor what a picture was asked for.
		await page.locator('select[name=model]').selectOption('scenes')
		await page.getByLabel('Width').fill('256')
		await page.getByLabel('Height').fill('96')
		await develop(page)
		await page.getByRole('button', { name: 'Open' }).click()
		const [close, after] = await Promise.all(['Close', 'After'].map((name) => page.getByRole('button', { name }).boundingBox()))
		expect(after!.y).toBeGreaterThan(close!.y + close!.height)
		await page.getByText('The whole request').click()
		expect(await page.locator('#detail').evaluate((dialog) => dialog.scrollWidth - dialog.clientWidth)).toBe(0)
	})

	it('pictures of no words, and URLs that have expired: on the account page, too, each has a name and is seen', async () => {
		const { id } = await stack.submit({ model: 'scenes-unconditional', steps: 1 })
		await stack.finished(id)
		const { page } = await open()
		let refusals = 1
		await page.route(`**/darkroom/${id}/**`, (route) => (refusals-- > 0 ? route.fulfill({ status: 403 }) : route.continue()))
		await enter(page, '/account')
		const image = page.locator(`[data-id="${id}"]`).getByRole('link', { name: 'unconditional' }).getByRole('img')
		await expect.poll(() => image.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBeGreaterThan(0)
		expect(refusals).toBe(-1)
	})

	it('a reference that cannot be had', async () => {
		const { page, complaints } = await open()
		await page.route('**/openapi.json', (route) => route.abort())
		await page.goto(`${stack.url}/docs`)
		await page.getByText('The server cannot be reached.').waitFor()
		expect(complaints()).toEqual([])
	})
})
