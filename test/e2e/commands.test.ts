import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { bindingFolder } from '../../worker-gpu/onnx/provider.ts'
import { isInstalled } from '../installed.ts'
import { root } from '../root.ts'

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const commands = Object.entries(scripts).flatMap(([name, command]) => {
	const [, file] = /^node (\S+)$/.exec(command) ?? []
	return file ? [[name === 'start' ? 'npm start' : `npm run ${name}`, file] as const] : []
})
const run = (file: string, option: string) => promisify(execFile)(process.execPath, [join(root, file), option], { cwd: root })

it.each([...commands, ['worker-gpu/main.ts', 'worker-gpu/main.ts'] as const])(
	'%s explains itself, and does nothing else',
	async (name, file) => {
		const { stdout, stderr } = await run(file, '--help')
		expect([stdout, stderr]).toEqual([expect.stringContaining(name), ''])
	}
)

// What the API's fuzzer does not know is schemathesis's to judge.
it.each(commands.filter(([name]) => name !== 'npm run fuzz:api'))(
	'%s says in a line which option it does not know',
	async (_, file) => {
		await expect(run(file, '--frobnicate')).rejects.toMatchObject({
			code: 1,
			stdout: '',
			stderr: expect.stringMatching(/^[^\n]*--frobnicate[^\n]*\n$/)
		})
	}
)

it('npm run cuda says what it misses, and leaves nothing behind', async () => {
	const without = { cwd: root, env: { ...process.env, PATH: '' } }
	const { code, stderr } = await promisify(execFile)(process.execPath, [join(root, 'infra/cuda.ts')], without).catch(
		(error) => error
	)
	expect([code, stderr]).toEqual([1, expect.stringMatching(/^cuda: expected (python3 on this machine|Linux on x64)[^\n]*\n$/)])
	expect(existsSync(join(bindingFolder(), 'pypi'))).toBe(false)
})

it.runIf(isInstalled('python3'))('python infra/model-kit/reference makes nothing anew that it was not asked for', async () => {
	const reference = (...names: string[]) => promisify(execFile)('python3', [join(root, 'infra/model-kit/reference'), ...names])
	await expect(reference()).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('required: NAME') })
	await expect(reference('noises')).rejects.toMatchObject({
		code: 2,
		stderr: expect.stringContaining("invalid choice: 'noises'")
	})
	expect((await reference('--help')).stdout).toContain('stable-diffusion')
})
