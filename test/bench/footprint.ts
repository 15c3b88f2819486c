import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Darkroom } from '../../shared/client.ts'
import { descendants } from '../processes.ts'
import { type Stack, startStack } from '../stack.ts'

const [rounds, atOnce] = [4, 16]

/** Memory of every process that `npm start` starts, itself included, and what an order takes in its account until it is archived. Linux only. */
export async function footprint(): Promise<void> {
	const stack = await startStack()
	await sleep(5_000)
	const rest = measure(stack.process.pid!)
	const storedBefore = await stored(stack)
	let working = true
	const peak = new Map<string, number>()
	const watch = (async () => {
		for (; working; await sleep(250)) {
			for (const [name, megabytes] of measure(stack.process.pid!)) {
				peak.set(name, Math.max(peak.get(name) ?? 0, megabytes))
			}
		}
	})()
	for (let round = 0; round < rounds; round++) {
		await Promise.all(
			Array.from({ length: atOnce }, (_, seed) =>
				stack.submit({ model: 'scenes', prompt: 'a red sphere', seed }, { prefer: 'wait=60' })
			)
		)
	}
	working = false
	await watch
	const perOrder = ((await stored(stack)) - storedBefore) / (rounds * atOnce)
	await stack.close()
	for (const name of [...peak.keys()].sort()) {
		console.log(`  ${name.padEnd(28)} ${megabytes(rest.get(name))} at rest ${megabytes(peak.get(name))} at work`)
	}
	const sum = (table: Map<string, number>, pattern: RegExp) =>
		[...table].reduce((total, [name, mb]) => total + (pattern.test(name) ? mb : 0), 0)
	console.log(`  in the account's books          ${(perOrder / 1_000).toFixed(1)} kB an order`)
	console.log(
		`  GPU node (target 500 MB)     ${megabytes(sum(rest, /^gpu-node/))} at rest ${megabytes(sum(peak, /^gpu-node/))} at work`
	)
	console.log(`  whole stack (target 1200 MB) ${megabytes(sum(rest, /./))} at rest ${megabytes(sum(peak, /./))} at work`)
}

async function stored({ url, apiKey }: Stack): Promise<number> {
	return (await new Darkroom({ url, apiKey }).account()).stored_bytes
}

const megabytes = (value = 0) => `${value.toFixed(0).padStart(5)} MB`

const names: [RegExp, string][] = [
	[/worker-gpu\/main\.ts/, 'gpu-node: consumer'],
	[/worker-gpu\/engine/, 'gpu-node: engine'],
	[/infra\/edge\.ts/, 'edge: Miniflare'],
	[/workerd/, 'edge: workerd'],
	[/postgres/, 'queue: PostgreSQL'],
	[/infra\/dev\.ts/, 'npm start']
]

/** Proportional set size by process name, in MB: pages that processes share are counted once. */
function measure(pid: number): Map<string, number> {
	const table = new Map<string, number>()
	for (const { pid: each, command } of descendants(pid, { itself: true })) {
		const name = names.find(([pattern]) => pattern.test(command))?.[1] ?? command.slice(0, 28)
		try {
			const [, kilobytes] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'utf8'))!
			table.set(name, (table.get(name) ?? 0) + Number(kilobytes) / 1024)
		} catch {
			// It ended meanwhile.
		}
	}
	return table
}
