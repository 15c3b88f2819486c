import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { Browser } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UploadAnswer } from '../../shared/contract/callbacks.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Delivery } from '../../shared/contract/webhooks.ts'
import type { Job } from '../../shared/queue.ts'
import { startArchivedEdge } from '../archived.ts'
import type { BareEdge } from '../edge.ts'
import { hurdles, isMissing, openBrowser, openPage } from './chromium.ts'

const prompt = 'a red sphere <img src=x onerror=alert(1)>'
/** Where pictures of the page are kept for whoever wants to look at them. */
const { SCREENSHOTS } = process.env

describe.skipIf(isMissing)('the account page', () => {
	let edge: BareEdge
	let key: string
	let browser: Browser
	let receiver: Server
	let received = 0
	beforeAll(async () => {
		receiver = createServer((_, response) => void response.writeHead(received++ === 0 ? 410 : 200).end('No more of it, please.'))
		await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
		;[{ edge, key }, browser] = await Promise.all([startArchivedEdge('tester'), openBrowser()])
		await (await openPage(browser)).page.goto(`${edge.url}/account`) // It stays open, and the others have its process.
		await develop(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/darkroom/events`)
	})
	afterAll(async () => {
		await Promise.all([edge?.close(), browser?.close()])
		receiver?.close()
	})

	const say = (url: string, token: string, body: object) =>
		fetch(url, {
			method: 'POST',
			headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
			body: JSON.stringify(body)
		})
	/** One generation of two pictures, one that failed and one that waits, as a node would do it. */
	const develop = async (webhook: string) => {
		const order = { model: 'scenes', prompt, seed: 1, count: 2, webhook }
		const { request } = (await (await say(`${edge.url}/v1/generations`, key, order)).json()) as Generation
		const { callback, token } = (await edge.takeJob()) as Job
		await say(`${callback}/start`, token, { run: 'run-one-one' })
		for (const n of [0, 1]) {
			const background = { r: 190, g: 60 + 90 * n, b: 50 }
			const bytes = await sharp({ create: { width: 128, height: 128, channels: 3, background } })
				.png()
				.toBuffer()
			const md5 = createHash('md5').update(bytes).digest('base64')
			const about = { n, size: bytes.length, md5, content_type: 'image/png' }
			const { url, headers } = (await (await say(`${callback}/upload`, token, about)).json()) as UploadAnswer
			await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })
			const seen = { ...about, width: request.width, height: request.height, seed: n + 1 }
			expect((await say(`${callback}/image`, token, seen)).status).toBe(200)
		}
		expect((await say(`${callback}/finish`, token, { outcome: 'succeeded', inference_ms: 5 })).status).toBe(200)
		await say(`${edge.url}/v1/generations`, key, { ...order, prompt: 'a cone', webhook: undefined })
		const failing = (await edge.takeJob()) as Job
		await say(`${failing.callback}/start`, failing.token, { run: 'run-two-two' })
		const failure = { outcome: 'failed', detail: 'The decoder gave no number.' }
		expect((await say(`${failing.callback}/finish`, failing.token, failure)).status).toBe(200)
		await say(`${edge.url}/v1/generations`, key, { ...order, prompt: 'a blue cube', webhook: undefined })
	}

	it('asks for a key, says when it is wrong, and keeps a good one for the session', async () => {
		const { page, faults } = await openPage(browser)
		await page.goto(`${edge.url}/account`)
		await page.keyboard.type('dk_nobody')
		await page.keyboard.press('Enter')
		await page.getByRole('alert').filter({ hasText: 'not one of ours' }).waitFor()
		// The browser itself reports the 401.
		expect(faults.splice(0).every((fault) => fault.includes('401'))).toBe(true)
		// No header can bear it.
		await page.getByLabel('API key').fill('dk_ü')
		expect(await page.locator('#sign-in input:invalid').count()).toBe(1)
		await page.getByLabel('API key').fill(` ${key} `)
		await page.getByRole('button', { name: 'Show' }).click()
		await page.getByText('tester').waitFor()
		await page.reload()
		await page.getByText('tester').waitFor()
		await page.getByRole('button', { name: 'Forget the key' }).click()
		await page.getByLabel('API key').waitFor()
		expect(await page.evaluate('sessionStorage.length')).toBe(0)
		expect(faults).toEqual([])
		await page.close()
	})

	it.each([
		['light', 1200, 1000],
		['dark', 1200, 1000],
		['light', 360, 800],
		['dark', 360, 800]
	] as const)('shows the account in %s, %i pixels wide', async (colorScheme, width, height) => {
		const { page, faults } = await openPage(browser, { colorScheme, viewport: { width, height } })
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		await page.getByRole('img', { name: /^2 pictures in 30 days/ }).waitFor()
		expect(await page.getByLabel('API key').isVisible()).toBe(false)
		const heights = page.locator('rect').evaluateAll((bars) => bars.map((bar) => bar.getAttribute('height')))
		expect(await heights).toEqual([...Array(29).fill('0'), '178'])
		const thumbnail = page.getByRole('img', { name: prompt })
		await thumbnail.scrollIntoViewIfNeeded()
		const loaded = (image: unknown) => (image as { naturalWidth: number }).naturalWidth
		await expect.poll(() => thumbnail.evaluate(loaded)).toBe(128)
		await page.getByText('queued').waitFor()
		await page.locator('article', { hasText: 'a cone' }).getByText('The decoder gave no number.').waitFor()
		await page.getByRole('row', { name: 'pictures in flight 2 1,000' }).waitFor()
		const again = await page.getByRole('button', { name: /^Send again generation\.completed/ }).boundingBox()
		expect(again!.x + again!.width).toBeLessThanOrEqual(width)
		const [file] = await Promise.all([
			page.waitForEvent('download'),
			page.getByRole('region', { name: 'Archive' }).getByRole('row', { name: ' 1 0 0.00' }).getByRole('link').click()
		])
		const line = JSON.parse(gunzipSync(readFileSync(await file.path())).toString())
		expect(line).toMatchObject({ model: 'scenes', status: 'canceled', count: 1, pictures: [] })
		expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
		if (SCREENSHOTS) {
			await page.screenshot({ path: `${SCREENSHOTS}/account-${colorScheme}-${width}.png`, fullPage: true })
		}
		expect(faults).toEqual([])
		await page.close()
	})

	it('goes on by keyboard with what comes below, or with the button', async () => {
		const { page, faults } = await openPage(browser)
		await page.route('**/v1/generations?limit=12*', (route) =>
			route.continue({ url: route.request().url().replace('limit=12', 'limit=1') })
		)
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		await page.locator('main:focus').waitFor()
		const more = page.locator('#more-generations')
		const cards = page.locator('#generations article')
		await more.waitFor()
		await more.press('Enter')
		await cards.nth(1).waitFor()
		await page.locator('#more-generations:focus').waitFor() // That which failed has nothing to hold.
		await page.keyboard.press('Enter')
		await page.locator('#generations article:nth-child(3) a:focus').waitFor()
		expect(faults).toEqual([])
		await page.close()
	})

	it('has room for long names, large numbers, and nothing at all', async () => {
		const { page, faults } = await openPage(browser, { viewport: { width: 360, height: 800 } })
		const model = 'm'.repeat(64)
		let usage = [{ day: new Date().toISOString().slice(0, 10), model, pictures: 2_000_000, amount: 9_000_000_000 }]
		await page.route('**/v1/usage*', (route) => route.fulfill({ json: { usage } }))
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		await page.getByRole('img', { name: '2,000,000 pictures in 30 days, at most 2,000,000 on one day' }).waitFor()
		const spend = page.locator('#spend')
		await spend.getByRole('row', { name: `${model} 2,000,000 9,000.00` }).waitFor()
		const beyond = () => spend.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)
		expect(await beyond()).toBe(0)
		usage[0]!.amount = 9_000_000_000_000_000
		await page.reload()
		await spend.getByRole('row', { name: '9,000,000,000.00' }).waitFor()
		expect(await beyond()).toBeGreaterThan(0)
		await expect.poll(() => hurdles(page)).toEqual([]) // A keyboard comes there to see the rest.
		await page.setViewportSize({ width: 1_200, height: 800 })
		await expect.poll(() => page.locator('.scroll[tabindex="0"]').count()).toBe(0)
		usage = []
		await page.reload()
		await page.getByRole('region', { name: 'Pictures a day' }).getByText('Nothing yet.').waitFor()
		expect(faults).toEqual([])
		await page.close()
	})

	it('counts what was spent in a month from its first day on, on its thirty-first, too', async () => {
		const { page, faults } = await openPage(browser)
		await page.clock.setFixedTime('2020-01-31T12:00:00Z')
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		// Two more pictures are held.
		await page.getByRole('row', { name: 'spending a day 0.00282 none' }).waitFor()
		await page.getByRole('row', { name: 'spending a month 0.00423 none' }).waitFor()
		expect(faults).toEqual([])
		await page.close()
	})

	it('makes and revokes keys, for whoever has one that may', async () => {
		const keys = `${edge.url}/v1/admin/accounts/tester/keys`
		const may = { name: `chief ${performance.now()}`, scopes: ['read', 'admin'] } // No other try's.
		const { key: chief } = (await (await say(keys, edge.adminToken, may)).json()) as { key: string }
		const { page, faults } = await openPage(browser)
		const enter = async (key: string) => {
			await page.goto(`${edge.url}/account`)
			await page.getByLabel('API key').fill(key)
			await page.keyboard.press('Enter')
			await page.getByRole('button', { name: 'Show the keys' }).click()
		}
		await enter(key)
		await page.getByRole('status').getByText('Expected a key with the scope admin').waitFor()
		expect(await page.getByRole('button', { name: 'Make a key' }).isVisible()).toBe(false)
		expect(faults.splice(0).every((fault) => fault.includes('403'))).toBe(true)
		await page.getByRole('button', { name: 'Forget the key' }).click()
		await page.getByLabel('API key').waitFor() // The page comes anew by itself, and would take away what is entered meanwhile.
		await enter(chief)
		await page.getByRole('row', { name: `${may.name} read, admin` }).waitFor()
		const shop = `shop ${performance.now()}`
		await page.getByLabel('Name').fill(shop)
		await page.getByLabel('Until').fill('2099-12-31')
		await page.getByRole('checkbox', { name: 'read' }).uncheck()
		await page.getByRole('button', { name: 'Make a key' }).click()
		const text = page.locator('#keys-said code')
		await text.waitFor()
		const shown = (await text.textContent())!
		const asked = await say(`${edge.url}/v1/generations?dry_run=1`, shown, { model: 'scenes', prompt: 'a cone' })
		expect(asked.status).toBe(200)
		expect(await hurdles(page)).toEqual([])
		await page.locator('#new-key button:focus').waitFor()
		const row = page.getByRole('row', { name: new RegExp(`^${shop} generate .*2099`) })
		page.once('dialog', (dialog) => void dialog.accept())
		await row.getByRole('button', { name: `Revoke ${shop}` }).press('Enter')
		await row.waitFor({ state: 'detached' })
		await page.locator('#keys:focus').waitFor() // A keyboard goes on from there.
		expect((await fetch(`${edge.url}/v1/account`, { headers: { authorization: `Bearer ${shown}` } })).status).toBe(401)
		expect(faults).toEqual([])
		await page.close()
	})

	it('shows the keys to whoever asks for them before the figures are there, too', async () => {
		const keys = `${edge.url}/v1/admin/accounts/tester/keys`
		const { key } = (await (await say(keys, edge.adminToken, { scopes: ['read', 'admin'] })).json()) as { key: string }
		const { page, faults } = await openPage(browser)
		const figures = Promise.withResolvers<void>()
		await page.route('**/v1/usage*', async (route) => {
			await figures.promise
			await route.continue()
		})
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		await page.getByRole('button', { name: 'Show the keys' }).click()
		await page.getByRole('button', { name: 'Make a key' }).waitFor()
		figures.resolve()
		await page.getByText('tester').waitFor()
		expect(faults).toEqual([])
		await page.close()
	})

	it('makes a key that is valid until the end of the day that is named, where its owner is', async () => {
		const keys = `${edge.url}/v1/admin/accounts/tester/keys`
		const { key } = (await (await say(keys, edge.adminToken, { scopes: ['read', 'admin'] })).json()) as { key: string }
		const { page, faults } = await openPage(browser)
		const session = await page.context().newCDPSession(page)
		await session.send('Emulation.setTimezoneOverride', { timezoneId: 'Pacific/Honolulu' })
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		await page.getByRole('button', { name: 'Show the keys' }).click()
		const name = `shop ${performance.now()}` // No other try's.
		await page.getByLabel('Name').fill(name)
		await page.getByLabel('Until').fill('2099-12-31')
		await page.getByRole('button', { name: 'Make a key' }).click()
		await page.getByRole('row', { name: new RegExp(`^${name} .*31 Dec 2099, 23:59`) }).waitFor()
		expect(faults).toEqual([])
		await page.close()
	})

	it('sends a delivery again', async () => {
		const latest = async () => {
			const answer = await fetch(`${edge.url}/v1/webhooks/deliveries`, { headers: { authorization: `Bearer ${key}` } })
			return ((await answer.json()) as { deliveries: Delivery[] }).deliveries[0]!
		}
		await expect.poll(async () => (await latest()).status).not.toBe('pending')
		const { status, attempts } = await latest()
		const { page, faults } = await openPage(browser)
		await page.goto(`${edge.url}/account`)
		await page.getByLabel('API key').fill(key)
		await page.keyboard.press('Enter')
		const row = page.getByRole('row', { name: /generation\.completed/ })
		await row.getByText(status).waitFor()
		await row.getByRole('button').focus()
		await page.keyboard.press('Enter')
		await row.getByText(`${attempts.length + 1} (200)`).waitFor()
		expect(await row.getByText('delivered').count()).toBe(1)
		expect(faults).toEqual([])
		await page.close()
	})
})
