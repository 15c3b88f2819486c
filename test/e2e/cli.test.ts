import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { root } from '../root.ts'
import { type Stack, startStack } from '../stack.ts'

let stack: Stack
const dir = mkdtempSync(join(tmpdir(), 'darkroom-cli-'))
beforeAll(async () => {
	stack = await startStack()
})
afterAll(async () => {
	await stack?.close()
	rmSync(dir, { recursive: true })
})

const darkroom = (...args: string[]) =>
	promisify(execFile)(process.execPath, [join(root, 'infra/cli.ts'), ...args], {
		env: { ...process.env, DARKROOM_URL: stack.url, DARKROOM_API_KEY: stack.apiKey }
	})
const isPng = (file: string) => readFileSync(file).subarray(1, 4).toString() === 'PNG'

it('draws a picture into a file', async () => {
	const file = join(dir, 'one.png')
	const { stdout } = await darkroom('generate', 'a red sphere', '-o', file, '--steps', '4')
	expect(stdout).toBe(`${file}\n`)
	expect(isPng(file)).toBe(true)
})

it('draws several, and tells the whole generation as JSON', async () => {
	const args = ['--count', '2', '--seed', '7', '--size', '96x128', '--steps', '4', '--json']
	const { stdout } = await darkroom('generate', 'a blue cube', '-o', join(dir, 'many.png'), ...args)
	expect(JSON.parse(stdout)).toMatchObject({ status: 'succeeded', request: { width: 96, height: 128, seed: 7, count: 2 } })
	expect([1, 2].map((n) => isPng(join(dir, `many-${n}.png`)))).toEqual([true, true])
})

it('lists models and usage', async () => {
	expect((await darkroom('models')).stdout).toMatch(/^scenes\t/)
	const usage = JSON.parse((await darkroom('usage', '--json')).stdout)
	expect(usage).toMatchObject([{ model: 'scenes', pictures: 3 }])
})

it("says what is wrong, in the API's words", async () => {
	await expect(darkroom('generate', 'a red sphere', '--count', '99')).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringContaining('/count: expected at most 8, got 99')
	})
	await expect(darkroom('cancel', 'gen_nothing')).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringContaining('Nothing can be at')
	})
})
