import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { InferenceSession, listSupportedBackends } from 'onnxruntime-node'

// Read when the first session is made; otherwise ONNX Runtime (1.30, on Linux and macOS too) tells Microsoft of each session and model, and keeps
// a number of the machine in its user's home. https://github.com/microsoft/onnxruntime/pull/27379
process.env.ORT_DISABLE_TELEMETRY ??= '1'

export type ProviderChoice = 'auto' | 'cpu' | 'cuda'

export interface Provider {
	readonly name: 'cpu' | 'cuda'
	/** Why this one, for people. */
	readonly reason: string
	/** Cores that one call may use. */
	readonly threads: number
	readonly sessionOptions: InferenceSession.SessionOptions
	/**
	 * The smallest batch whose rows come out with the same bits in any larger one. On the CPU two: threads share the places of one picture that is convolved, and
	 * its long sums are cut by how large their shares are; of several, each picture is one thread's (MlasConv in core/mlas/lib/convolve.cpp; 1e-6 apart on the demo
	 * network with eight threads). Convolutions by blocks of channels, as on x64 with AVX, did as well with one.
	 */
	readonly invariantFrom: number
	/** Whether a call of another shape than the last one takes longer than the next ones of that shape: see engine/steady-sizes.ts. */
	readonly plansShapes: boolean
	/** Whether sessions live in a thread of their own (session-thread.ts); not where the cores that they take are those of the engine. */
	readonly ownThread: boolean
}

/** What the engine does on CUDA, for where there is none. */
export const asOnCuda = (provider: Provider): Provider => ({ ...provider, plansShapes: true, ownThread: true })

/** `auto` takes CUDA where its libraries load, `cuda` insists on it. */
export async function chooseProvider(choice: ProviderChoice, threads = availableParallelism()): Promise<Provider> {
	if (choice === 'cpu') {
		return cpu('as asked', threads)
	}
	const obstacle = await cudaObstacle()
	if (obstacle === undefined) {
		return cuda(choice === 'cuda' ? 'as asked' : 'its libraries load', threads)
	}
	if (choice === 'cuda') {
		throw new CudaUnavailable(obstacle)
	}
	return cpu(`no CUDA: ${obstacle}`, threads)
}

class CudaUnavailable extends Error {
	override name = 'CudaUnavailable'

	constructor(obstacle: string) {
		super(`DARKROOM_PROVIDER=cuda: expected ONNX Runtime's CUDA provider, but ${obstacle}`)
	}
}

function cpu(reason: string, threads: number): Provider {
	return {
		name: 'cpu',
		reason,
		threads,
		sessionOptions: {
			executionProviders: ['cpu'],
			intraOpNumThreads: threads,
			interOpNumThreads: 1,
			// A plan of memory for every batch size: 20 % more memory at 128 × 128, half as much again at 256 × 256, not one per cent faster.
			enableMemPattern: false,
			// Errors alone: torch.export declares outputs in the size of its example, and it warns at every call of another.
			logSeverityLevel: 3,
			// Threads that spin while they wait take a tenth off a call on an idle machine, and halve the speed where other processes work too. For about as
			// long as it takes to wake one, they do the first and not the second.
			extra: { session: { intra_op: { allow_spinning: '1', spin_duration_us: '30' } } }
		},
		invariantFrom: 2,
		plansShapes: false,
		ownThread: false
	}
}

function cuda(reason: string, threads: number): Provider {
	return {
		name: 'cuda',
		reason,
		threads,
		sessionOptions: {
			// Of CUDA's options JavaScript can set the device alone. What it takes otherwise: TF32 for float32 (NVIDIA_TF32_OVERRIDE=0 in the environment
			// says no), convolutions by cuDNN's heuristics, memory in powers of two that is never given back.
			executionProviders: ['cuda', 'cpu'],
			// For the few nodes that compute with shapes. Threads that spin while they wait only take a core from the one that feeds the GPU.
			intraOpNumThreads: Math.min(threads, 4),
			interOpNumThreads: 1,
			extra: { session: { intra_op: { allow_spinning: '0' } } },
			// Shapes change from call to call, and each would keep a plan and a block of its own.
			enableMemPattern: false,
			// Errors alone: it warns, network by network, that shapes are computed on the CPU, where they belong.
			logSeverityLevel: 3
		},
		invariantFrom: 1,
		plansShapes: true,
		ownThread: true
	}
}

/** y = x, made by onnx.helper: one Identity node, float32[1], opset 13. Creating its session loads the provider's libraries. */
const PROBE = 'CAgSADo7ChAKAXgSAXkiCElkZW50aXR5EgVwcm9iZVoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0='

/** What keeps CUDA from working here, or undefined. `listSupportedBackends` alone does not tell: it names what could be added. */
async function cudaObstacle(): Promise<string | undefined> {
	if (!listSupportedBackends().some((backend) => backend.name === 'cuda')) {
		return `this build of ONNX Runtime (${process.platform} ${process.arch}) has none`
	}
	const name = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so'
	const library = path.join(bindingFolder(), name)
	if (!existsSync(library)) {
		return `${name} is not installed (npm run cuda)`
	}
	try {
		const session = await InferenceSession.create(Buffer.from(PROBE, 'base64'), { executionProviders: ['cuda'] })
		await session.release()
		return undefined
	} catch (error) {
		const { message } = error as Error
		return message.includes('Failed to load shared library') ? whyNotLoaded(library) : inShort(message)
	}
}

/** What the loader says; ONNX Runtime tells it on stderr alone. */
function whyNotLoaded(library: string): string {
	try {
		process.dlopen({ exports: {} }, library)
	} catch (error) {
		return (error as Error).message
	}
	return `${library} cannot be loaded`
}

/** `CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version`, of a page of names of C++ and lines of theirs. */
function inShort(message: string): string {
	return /CUDA failure \d+: [^;]+/.exec(message)?.[0].trim() ?? message
}

/** Where onnxruntime-node keeps its native libraries: the loader looks for providers beside them. */
export function bindingFolder(): string {
	const main = createRequire(import.meta.url).resolve('onnxruntime-node')
	return path.join(path.dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch)
}
