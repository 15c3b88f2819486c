import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContextOptions, chromium, type Page, type Response } from 'playwright-core'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Nothing is skipped in CI: there, a missing browser is a failure. */
export const isMissing = executablePath === undefined && !process.env.CI

/** `goesBack`: to pages as they were left, as browsers do for people. */
export function openBrowser({ goesBack = false } = {}): Promise<Browser> {
	if (!executablePath) {
		throw new Error('Expected Chromium at /usr/bin/chromium, got none')
	}
	const quiet = ['disable-gpu', 'disable-background-networking', 'disable-component-update', 'disable-sync', 'no-first-run']
	// Pages of one context run in one process, while one of them is open: to start another takes as much as most tests do with theirs.
	const args = ['no-sandbox', 'process-per-site', ...quiet].map((flag) => `--${flag}`)
	return chromium.launch({ executablePath, args, ignoreDefaultArgs: goesBack ? ['--disable-back-forward-cache'] : [] })
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds wrong with a page for those who cannot see it, or do not use a mouse. */
export async function hurdles(page: Page, exclude: string[] = []): Promise<[rule: string, html: string | undefined][]> {
	await page.evaluate(axe)
	const { violations } = await page.evaluate(
		(exclude) => (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run({ exclude }),
		exclude
	)
	return violations.map(({ id, nodes }) => [id, nodes[0]?.html])
}

/** Presses the playground's button, and waits until its picture is there. The generation's id. */
export async function develop(page: Page): Promise<string> {
	const isOrder = (answer: Response) => answer.request().method() === 'POST' && answer.url().endsWith('/v1/generations')
	const [answer] = await Promise.all([page.waitForResponse(isOrder), page.getByRole('button', { name: 'Develop' }).click()])
	const { id } = await answer.json()
	// A busy machine draws for longer than Playwright's half minute.
	await page.locator(`.development[data-id="${id}"]`).getByText(/^Done/).waitFor({ timeout: 80_000 })
	return id
}

/** A page, and what its console and its scripts complained about. What a page keeps is its own: the key is kept by tab. */
export async function openPage(
	browser: Browser,
	{ viewport, colorScheme = 'light', hasTouch = false }: Pick<BrowserContextOptions, 'viewport' | 'colorScheme' | 'hasTouch'> = {}
): Promise<{ page: Page; faults: string[] }> {
	const context = (hasTouch ? undefined : browser.contexts()[0]) ?? (await browser.newContext({ hasTouch }))
	const page = await context.newPage()
	await page.emulateMedia({ colorScheme })
	if (viewport) {
		await page.setViewportSize(viewport)
	}
	const faults: string[] = []
	page.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())))
	page.on('pageerror', (error) => void faults.push(String(error)))
	return { page, faults }
}
