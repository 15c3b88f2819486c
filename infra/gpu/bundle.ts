/**
 * `npx node infra/gpu/bundle.ts`: packs what a bare machine with a GPU lacks to run Darkroom's engine on CUDA, beside the repository itself: Node.js, ONNX
 * Runtime with its CUDA provider and a few packages, in parts, for machines that files reach in parcels; and the graphs of real sizes that graphs/ made,
 * which are small and change more often. run.sh puts them together there. See README.md.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import onnxruntime from 'onnxruntime-node/package.json' with { type: 'json' }
import { readCommandLine } from '../../shared/command-line.ts'
import { root } from '../../test/root.ts'
import { dropKernels } from './fatbin.ts'
import { dropLanguages } from './icu.ts'

const run = promisify(execFile)

const usage = `npx node infra/gpu/bundle.ts [--architecture 90] [--part-size 60] [--graphs]

  --architecture   of the GPU, as CUDA counts them: 80 A100, 89 L4 and RTX 4090, 90 H100 and H200
  --part-size      megabytes of each part of .data/gpu/parts
  --graphs         pack them alone, after a change of theirs`
const { values } = readCommandLine(usage, {
	options: {
		architecture: { type: 'string', default: '90' },
		'part-size': { type: 'string', default: '60' },
		/** What is packed already stays. */
		graphs: { type: 'boolean', default: false }
	}
})

const home = path.join(root, '.data/gpu')
const downloads = path.join(home, 'downloads')
const staged = path.join(home, 'staged')
const parts = path.join(home, 'parts')
const binding = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64'
/** What PyTorch's side of the comparison lacks there; all in Python, so that it runs on any version of it. */
const python = ['diffusers==0.42.1', 'importlib-metadata']

await mkdir(parts, { recursive: true })
if (!values.graphs) {
	await packTools()
}
if (existsSync(path.join(home, 'models'))) {
	await pack(['-C', root, '--exclude=weights', '.data/gpu/models'], path.join(parts, 'graphs'))
}
for (const name of await readdir(parts)) {
	const { size } = await stat(path.join(parts, name))
	console.log(`${path.join('.data/gpu/parts', name)}  ${megabytes(size)}`)
}

async function packTools(): Promise<void> {
	await rm(staged, { recursive: true, force: true })
	await mkdir(path.join(staged, '.data/gpu/bin'), { recursive: true })
	await mkdir(downloads, { recursive: true })
	await stagePackages()
	await stageProvider()
	await stageNode()
	await run('python3', [
		'-m',
		'pip',
		'install',
		'-q',
		'--no-deps',
		'--no-compile',
		'--target',
		path.join(staged, '.data/gpu/site'),
		...python
	])
	console.log('packing')
	const packed = path.join(home, 'tools.tar.xz')
	await pack(['-C', staged, '.'], packed)
	await rm(staged, { recursive: true })
	await split(packed)
}

async function pack(given: string[], packed: string): Promise<void> {
	await run('tar', ['-cJf', packed, ...given], { env: { ...process.env, XZ_OPT: '-9 -T0' } })
}

async function stageNode(): Promise<void> {
	const node = path.join(staged, '.data/gpu/bin/node')
	await cp(path.join(root, 'node_modules/node/bin/node'), node)
	await run('strip', [node])
	const program = await readFile(node)
	const dropped = dropLanguages(program)
	await writeFile(node, program)
	console.log(`Node.js ${process.version}: ${megabytes(dropped)} of languages dropped`)
}

/** The packages that the engine and the stages import. */
async function stagePackages(): Promise<void> {
	const { metafile } = await build({
		entryPoints: [
			path.join(import.meta.dirname, 'main.ts'),
			...['engine/process.ts', 'onnx/session-worker.ts'].map((file) => path.join(root, 'worker-gpu', file))
		],
		absWorkingDir: root,
		bundle: true,
		platform: 'node',
		format: 'esm',
		outdir: home,
		write: false,
		metafile: true,
		external: ['*.node'],
		logLevel: 'error'
	})
	const names = Object.keys(metafile.inputs).flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? [])
	for (const name of new Set(names)) {
		await cp(path.join(root, 'node_modules', name), path.join(staged, 'node_modules', name), {
			recursive: true,
			filter: (file) => !/\.(map|cts|d\.ts)$|\/bin\/napi-v6\/(darwin|win32|linux\/arm64)/.test(file)
		})
	}
}

/** Of the same version as the package, from the wheel that PyPI has. It tells which CUDA it was built for. */
async function stageProvider(): Promise<void> {
	const name = `onnxruntime_gpu-${onnxruntime.version}`
	const unpacked = path.join(downloads, name)
	if (!existsSync(unpacked)) {
		const platforms = ['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64'].flatMap((platform) => ['--platform', platform])
		const wanted = [
			'--no-deps',
			'--only-binary=:all:',
			'--implementation=cp',
			'--python-version=3.12',
			`onnxruntime-gpu==${onnxruntime.version}`
		]
		await run('python3', ['-m', 'pip', 'download', '-q', '-d', downloads, ...platforms, ...wanted])
		const wheel = path.join(downloads, `${name}-cp312-cp312-manylinux_2_28_x86_64.whl`)
		await run('python3', ['-m', 'zipfile', '-e', wheel, `${unpacked}.new`])
		await rename(`${unpacked}.new`, unpacked)
		await rm(wheel)
	}
	const from = path.join(unpacked, 'onnxruntime/capi')
	const [, cuda] = /cuda_version = '([^']+)'/.exec(await readFile(path.join(from, 'build_and_package_info.py'), 'utf8')) ?? []
	const library = await readFile(path.join(from, 'libonnxruntime_providers_cuda.so'))
	const { kept, dropped } = dropKernels(library, Number(values.architecture))
	await writeFile(path.join(staged, binding, 'libonnxruntime_providers_cuda.so'), library)
	await cp(
		path.join(from, 'libonnxruntime_providers_shared.so'),
		path.join(staged, binding, 'libonnxruntime_providers_shared.so')
	)
	console.log(
		`CUDA provider of ONNX Runtime ${onnxruntime.version} for CUDA ${cuda}: ${megabytes(kept)} of kernels for architecture ${values.architecture} kept, ${megabytes(dropped)} dropped`
	)
}

async function split(packed: string): Promise<void> {
	for (const old of await readdir(parts)) {
		await rm(path.join(parts, old))
	}
	const bytes = await readFile(packed)
	const size = Number(values['part-size']) * 1e6
	const count = Math.ceil(bytes.length / size)
	for (let i = 0; i < count; i++) {
		const name = `${String(i + 1).padStart(2, '0')}-of-${count}`
		await writeFile(path.join(parts, name), bytes.subarray(i * size, (i + 1) * size))
	}
	await rm(packed)
}

function megabytes(bytes: number): string {
	return `${(bytes / 1e6).toFixed(1)} MB`
}
