import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { root } from '../../../test/root.ts'
import { newModel } from '../../../worker-gpu/golden/new-model.ts'
import { generator } from '../../../worker-gpu/ldm/noise.ts'
import { FLOAT } from '../../../worker-gpu/onnx/graph.ts'
import { encoded, newNode } from '../../../worker-gpu/onnx/new-node.ts'
import { chooseProvider } from '../../../worker-gpu/onnx/provider.ts'
import type { Options } from '../main.ts'
import { MATRIX_PEAK, matrixPeak } from '../peak.ts'
import type { Report } from '../results.ts'

const SIDE = 256
const library = path.join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so')

/** Each library that the CUDA provider wants, and where the loader will find it; then two matrices multiplied on the GPU, and how fast it can do that. */
export async function probe({ provider, quick }: Options, report: Report): Promise<void> {
	await report('the GPU, its driver and memory', deviceName())
	for (const name of existsSync(library) ? wanted() : []) {
		await report(name, where(name), 'found')
	}
	// Where CUDA cannot be had, ONNX Runtime's WebGPU provider over Vulkan is the second way to the same GPU.
	for (const way of provider === 'cuda' ? ['cuda', 'webgpu'] : [provider]) {
		const got = await multiply(way).catch((error: Error) => reason(error))
		await report(`${SIDE} × ${SIDE} matrices multiplied by ${way}`, got, 'right')
		if (got.startsWith('right')) {
			break
		}
	}
	const peak = await matrixPeak(await chooseProvider(provider), quick ? 256 : 8192)
	await report(MATRIX_PEAK, `${(peak / 1e12).toFixed(3)} TFLOP/s`, '', peak)
}

/** What ONNX Runtime says of itself before comes to a thousand letters. */
const reason = ({ message }: Error) => (/(CUDA failure|Failed to|Unable to)[^;\n]*/.exec(message)?.[0] ?? message).slice(0, 200)

function deviceName(): string {
	try {
		const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
		return execFileSync('nvidia-smi', query, { encoding: 'utf8' }).trim()
	} catch {
		return 'no nvidia-smi here'
	}
}

/** The names are in the library's table of strings, at its beginning; cuDNN is asked for only when the first convolution comes. */
function wanted(): string[] {
	const names =
		readFileSync(library)
			.toString('latin1', 0, 1 << 16)
			.match(/lib(cuda|cudart|cublas|cublasLt|curand|cufft|cudnn)\.so\.\d+/g) ?? []
	return [...new Set(names), 'libcudnn.so']
}

function where(name: string): string {
	const folders = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean)
	const found = folders.find((folder) => existsSync(path.join(folder, name)))
	if (found) {
		return `found in ${found}`
	}
	const known = safely(() => execFileSync('ldconfig', ['-p'], { encoding: 'utf8' })) ?? ''
	if (known.includes(`${name} `)) {
		return 'found by the system'
	}
	const [stem] = name.split('.so')
	const others = folders
		.flatMap((folder) => safely(() => readdirSync(folder)) ?? [])
		.filter((file) => file.startsWith(`${stem}.so`))
	return `NOT found${others.length ? `, but ${others.join(', ')}` : ''}`
}

function safely<T>(get: () => T): T | undefined {
	try {
		return get()
	} catch {
		return undefined
	}
}

async function multiply(provider: string): Promise<string> {
	const session = await InferenceSession.create(product(), { executionProviders: [provider] })
	const [a, b] = [1, 2].map((seed) => generator(seed).normal([SIDE, SIDE]).data) as [Float32Array, Float32Array]
	const feeds = { a: new Tensor('float32', a, [SIDE, SIDE]), b: new Tensor('float32', b, [SIDE, SIDE]) }
	const { y } = await session.run(feeds)
	const got = y!.data as Float32Array
	await session.release()
	let most = 0
	for (let row = 0; row < SIDE; row++) {
		for (let column = 0; column < SIDE; column++) {
			let sum = 0
			for (let k = 0; k < SIDE; k++) {
				sum += a[row * SIDE + k]! * b[k * SIDE + column]!
			}
			most = Math.max(most, Math.abs(sum - got[row * SIDE + column]!))
		}
	}
	// Sums of 256 products of unit normals are about 16 large; TF32 keeps ten bits.
	return most < 0.5 ? `right, off by at most ${most.toExponential(0)}` : `wrong, off by ${most}`
}

/** y = a · b */
function product(): Buffer {
	const square = { type: FLOAT, dims: [SIDE, SIDE] }
	const nodes = [encoded(newNode('MatMul', ['a', 'b'], 'y'))]
	return newModel({ nodes, inputs: { a: square, b: square }, outputs: { y: square } })
}
