import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import type { Provider } from '../../../worker-gpu/onnx/provider.ts'
import { drawTogether } from '../drawing.ts'
import type { Options } from '../main.ts'
import { isHere, loadModel, type Name, providerFor } from '../models.ts'
import type { Report } from '../results.ts'

const LISTED = 12

/** What ONNX Runtime's profile says of a call of one node. Microseconds. */
const Call = z.object({
	cat: z.literal('Node'),
	name: z.string().endsWith('_kernel_time'),
	dur: z.number(),
	args: z.object({ op_name: z.string(), provider: z.string(), input_type_shape: z.unknown(), output_type_shape: z.unknown() })
})

/** Which nodes of each network run on the CPU or copy between it and the GPU, and which operators take the time. */
export async function nodes({ provider: choice, quick, models }: Options, report: Report): Promise<void> {
	// Read by CUDA when its libraries are loaded: each node then waits for what it has begun, so that its time is its own.
	process.env.CUDA_LAUNCH_BLOCKING = '1'
	const provider = await providerFor(choice)
	const kind = quick ? 'tiny' : 'real'
	for (const name of models.filter((name) => isHere(name, kind))) {
		try {
			const networks = await profiles(name, provider, kind)
			for (const calls of networks) {
				await tell(name, calls, provider, report)
			}
			if (process.env.OUT) {
				await writeFile(path.join(process.env.OUT, `nodes-${name}.tsv`), networks.map(table).join('\n'))
			}
		} catch (error) {
			console.error(error)
			await report(name, `failed: ${(error as Error).message.split('\n')[0]}`)
		}
	}
}

/** Of each network of a model, the last call of every node while as many pictures as share a call well are drawn in three steps. */
async function profiles(name: Name, provider: Provider, kind: 'real' | 'tiny'): Promise<z.infer<typeof Call>[][]> {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		const profiled = { enableProfiling: true, profileFilePrefix: path.join(folder, 'profile') }
		const model = await loadModel(name, { ...provider, sessionOptions: { ...provider.sessionOptions, ...profiled } }, kind)
		await drawTogether(model, model.batches.at(-1)!, provider, { steps: 3 })
		await model.release() // Writes them.
		const files = await readdir(folder)
		const networks = await Promise.all(
			files.map(async (file) => {
				const events = JSON.parse(await readFile(path.join(folder, file), 'utf8')) as unknown[]
				const calls = events.flatMap((event) => Call.safeParse(event).data ?? [])
				return [...new Map(calls.map((call) => [call.name, call])).values()]
			})
		)
		return networks.filter((calls) => calls.length > 0) // A U-Net is opened for any shape too, which no call had.
	} finally {
		await rm(folder, { recursive: true })
	}
}

async function tell(name: Name, calls: z.infer<typeof Call>[], provider: Provider, report: Report): Promise<void> {
	const all = sum(calls)
	const network = `${name}, ${calls.length} nodes`
	await report(`${network}: one call, node by node`, `${(all / 1000).toFixed(1)} ms`)
	const isElsewhere = ({ args }: z.infer<typeof Call>) =>
		args.provider === 'CPUExecutionProvider' || args.op_name.startsWith('Memcpy')
	const elsewhere = provider.name === 'cpu' ? [] : calls.filter(isElsewhere)
	await report(
		`${network}: on the CPU, or copied`,
		byOperator(elsewhere)
			.map(({ operator, count }) => `${count} ${operator}`)
			.join(', ') || 'none'
	)
	const slowest = byOperator(calls)
		.slice(0, LISTED)
		.map(({ operator, count, of }) => `${count} ${operator} ${((100 * sum(of)) / all).toFixed(0)} %`)
	await report(`${network}: where the time goes`, slowest.join(', '))
}

/** Node by node, the slowest first. */
const table = (calls: readonly z.infer<typeof Call>[]): string =>
	calls
		.toSorted((a, b) => b.dur - a.dur)
		.map(({ dur, name, args: { op_name, provider, input_type_shape, output_type_shape } }) =>
			[dur, op_name, provider, JSON.stringify(input_type_shape), JSON.stringify(output_type_shape), name].join('\t')
		)
		.join('\n')

/** The longest first. */
function byOperator(calls: z.infer<typeof Call>[]) {
	return [...Map.groupBy(calls, ({ args }) => args.op_name)]
		.map(([operator, of]) => ({ operator, count: of.length, of }))
		.toSorted((a, b) => sum(b.of) - sum(a.of))
}

const sum = (calls: readonly { dur: number }[]): number => calls.reduce((total, { dur }) => total + dur, 0)
