import { startStack } from '../stack.ts'
import { median, quantile } from './statistics.ts'

const requests = 30

/** On the idle stack, one request after another, each held until its picture is there. */
export async function latency(): Promise<void> {
	const stack = await startStack()
	const rows: { total: number; inference: number }[] = []
	for (let i = -3; i < requests; i++) {
		const began = performance.now()
		const generation = await stack.submit(
			{ model: 'scenes', prompt: 'a large shiny red sphere on a grey floor', seed: i + 3 },
			{ prefer: 'wait=60' }
		)
		const total = performance.now() - began
		if (i >= 0) {
			rows.push({ total, inference: generation.metrics!.inference_ms }) // The first three warm up.
		}
	}
	await stack.close()
	const overhead = rows.map(({ total, inference }) => total - inference)
	const print = (name: string, values: number[]) =>
		console.log(
			`  ${name.padEnd(28)} median ${median(values).toFixed(0).padStart(5)} ms   p95 ${quantile(values, 0.95).toFixed(0).padStart(5)} ms`
		)
	print(
		'client, request to answer',
		rows.map(({ total }) => total)
	)
	print(
		'inside ONNX Runtime',
		rows.map(({ inference }) => inference)
	)
	print('the rest (target: median 60)', overhead)
}
