import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { bindingFolder } from '../../worker-gpu/onnx/provider.ts'
import { isInstalled } from '../installed.ts'
import { root } from '../root.ts'
import { copyTree } from '../tree.ts'

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const commands = Object.entries(scripts).flatMap(([name, command]) => {
	const [, file] = /(?:^|&& )node (\S+)$/.exec(command) ?? []
	return file ? [[name === 'start' ? 'npm start' : `npm run ${name}`, file] as const] : []
})
const run = (file: string, option: string) => promisify(execFile)(process.execPath, [join(root, file), option], { cwd: root })

const programs = ['worker-gpu/main.ts', 'infra/build.ts', 'infra/site.ts'].map((file) => [file, file] as const)

it.each([...commands, ...programs])('%s explains itself, and does nothing else', async (name, file) => {
	const { stdout, stderr } = await run(file, '--help')
	expect([stdout, stderr]).toEqual([expect.stringContaining(name), ''])
})

// All of them ask one function what they were called with.
it('says in a line which option it does not know', async () => {
	await expect(run('infra/admin.ts', '--frobnicate')).rejects.toMatchObject({
		code: 1,
		stdout: '',
		stderr: expect.stringMatching(/^[^\n]*--frobnicate[^\n]*\n$/)
	})
})

const readers = [
	['worker-gpu/main.ts'],
	['infra/dev.ts'],
	['infra/site.ts'], // Which wrangler calls before it deploys.
	['infra/models/main.ts', 'list'],
	['infra/models/main.ts', 'check'],
	['infra/models/main.ts', 'remove', 'scenes'],
	['infra/models/main.ts', 'add', join(root, 'worker-gpu/golden/tiny')]
] as const

it.each([
	['is no JSON', '{"models": [ {', /json: .* in JSON at position 14 \(line 1 column 15\)/, readers.slice(0, 2)],
	['has an unknown field', '{"models": [], "model": []}', /json: .*expected only models, got model/, readers]
] as const)('a catalog that %s is told in a line, by its name', async (_, catalog, told, programs) => {
	const tree = copyTree()
	const file = join(tree, 'shared/catalog.json')
	writeFileSync(file, catalog)
	const env = { ...process.env, DATA_DIR: join(tree, 'data'), PORT: '1' }
	try {
		for (const [program, ...words] of programs) {
			const { stdout, stderr, code } = await promisify(execFile)(process.execPath, [join(tree, program), ...words], {
				env
			}).catch((error) => error)
			expect([program, code, stdout]).toEqual([program, program === 'worker-gpu/main.ts' ? 78 : 1, ''])
			expect(stderr).toMatch(/^[^\n]*shared\/catalog\.json: [^\n]*\n$/)
			expect(stderr).toMatch(told)
		}
	} finally {
		rmSync(tree, { recursive: true })
	}
})

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

it.runIf(isInstalled('python3'))(
	'python infra/model-kit/export takes a variant of weights where a download has no others',
	async () => {
		const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
		const lay = (...files: string[]) => {
			rmSync(folder, { recursive: true })
			for (const file of files) {
				mkdirSync(dirname(join(folder, file)), { recursive: true })
				writeFileSync(join(folder, file), '')
			}
		}
		const program = `import sys, pathlib; sys.path.insert(0, ${JSON.stringify(join(root, 'infra/model-kit/export'))}); from variant import variant; print(variant(pathlib.Path(sys.argv[1]), ["unet", "vae", "tokenizer"]))`
		const variant = async () => (await promisify(execFile)('python3', ['-c', program, folder])).stdout.trim()
		try {
			const tokenizer = 'tokenizer/vocab.json'
			lay(
				'unet/diffusion_pytorch_model.safetensors',
				'unet/diffusion_pytorch_model.fp16.safetensors',
				'vae/diffusion_pytorch_model.bin',
				tokenizer
			)
			expect(await variant()).toBe('None')
			lay(
				'unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors',
				'unet/diffusion_pytorch_model.safetensors.index.fp16.json',
				'vae/diffusion_pytorch_model.bin'
			)
			expect(await variant()).toBe('fp16')
			lay('unet/diffusion_pytorch_model-00001-of-00002.non_ema.safetensors', 'vae/model-00001-of-00002.safetensors')
			expect(await variant()).toBe('non_ema')
			lay('unet/model.bf16.safetensors', 'vae/model.fp16.safetensors')
			await expect(variant()).rejects.toMatchObject({
				stderr: expect.stringContaining('weights of one variant, got unet of bf16, vae of fp16')
			})
		} finally {
			rmSync(folder, { recursive: true })
		}
	}
)

it.runIf(isInstalled('python3'))(
	'python infra/model-kit/export leaves a whole folder, or none for a later try to stumble over',
	async () => {
		const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
		const program = `import os, sys, pathlib; sys.path.insert(0, ${JSON.stringify(join(root, 'infra/model-kit/export'))})
from whole import whole
with whole(pathlib.Path(sys.argv[1])) as target:
    (target / "unet").mkdir()
    `
		const exported = (work: string) => promisify(execFile)('python3', ['-c', program + work, join(folder, 'out/mine')])
		try {
			await expect(exported('sys.exit("unet: refused")')).rejects.toMatchObject({ stderr: 'unet: refused\n' })
			await expect(exported('raise OSError(28, "No space left on device", "unet")')).rejects.toMatchObject({
				stderr: `${join(folder, 'out/mine')}: expected a disk with room for it, got: No space left on device\n`
			})
			expect(readdirSync(join(folder, 'out'))).toEqual([])
			await exported('pass')
			expect(readdirSync(join(folder, 'out'), { recursive: true }).sort()).toEqual(['mine', 'mine/unet'])
			expect(statSync(join(folder, 'out/mine')).mode & 0o777).toBe(0o777 & ~process.umask())
			await expect(exported('pass')).rejects.toMatchObject({
				stderr: expect.stringContaining('expected a folder that does not exist yet')
			})
		} finally {
			rmSync(folder, { recursive: true })
		}
	}
)
