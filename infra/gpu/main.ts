/** `sh infra/gpu/run.sh STAGE …`: what is to be found out on a machine with a GPU. See README.md. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import type { ProviderChoice } from '../../worker-gpu/onnx/provider.ts'
import { type Report, readResults, reporter, writeResults } from './results.ts'
import { correct } from './stages/correct.ts'
import { engine } from './stages/engine.ts'
import { memory } from './stages/memory.ts'
import { probe } from './stages/probe.ts'
import { sizes } from './stages/sizes.ts'
import { torch } from './stages/torch.ts'

interface Stage {
	readonly what: string
	/** It is stopped then, with what it has found. All together: less than ten minutes. */
	readonly seconds: number
	run(options: Options, report: Report): Promise<void>
}

export interface Options {
	readonly provider: Exclude<ProviderChoice, 'auto'>
	/** Narrow networks, and few of everything: shows that it works, measures nothing. */
	readonly quick: boolean
	readonly seconds: number
}

const stages: Record<string, Stage> = {
	probe: { what: 'which CUDA and cuDNN are here and wanted, and one product of two matrices', seconds: 30, run: probe },
	correct: { what: 'how far pictures are from those of the golden files', seconds: 90, run: correct },
	sizes: { what: 'networks of real sizes: pictures a second, alone and at the best batch', seconds: 170, run: sizes },
	engine: { what: 'batch limit, newcomers, 64 mixed requests at once', seconds: 70, run: engine },
	torch: { what: 'the same networks in PyTorch', seconds: 130, run: torch },
	memory: { what: "the GPU's memory over 2,000 pictures of mixed shapes", seconds: 70, run: memory }
}

const { values, positionals } = parseArgs({
	options: {
		help: { type: 'boolean', short: 'h' },
		provider: { type: 'string', default: 'cuda' },
		quick: { type: 'boolean', default: false },
		/** The one that this process is for. */
		run: { type: 'string' }
	},
	allowPositionals: true
})
const unknown = positionals.find((name) => !(name in stages))
const provider = (['cuda', 'cpu'] as const).find((name) => name === values.provider)
if (values.help || unknown || !provider) {
	const list = Object.entries(stages).map(([name, { what, seconds }]) => `  ${name.padEnd(9)} ${what} (${seconds} s at most)`)
	console.log(`sh infra/gpu/run.sh [STAGE …] [--provider cuda|cpu] [--quick]\n\n${list.join('\n')}`)
	if (unknown || !provider) {
		console.error(unknown ? `\nexpected a stage, got ${unknown}` : `\n--provider: expected cuda or cpu, got ${values.provider}`)
		process.exit(1)
	}
	process.exit(0)
}

if (values.run) {
	const { run, seconds } = stages[values.run]!
	await run({ provider, quick: values.quick, seconds }, reporter(values.run, values.quick))
	process.exit()
}
// Each in a process of its own: none can take another along, or keep the GPU's memory from it.
for (const name of positionals.length ? positionals : Object.keys(stages)) {
	console.log(`${name}: ${stages[name]!.what}`)
	const began = performance.now()
	await writeResults(name, [])
	const child = spawn(process.execPath, [import.meta.filename, ...process.argv.slice(2), '--run', name], {
		stdio: ['ignore', 'inherit', 'inherit'],
		detached: true
	})
	const limit = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), stages[name]!.seconds * 1000) // With those that it started.
	const [code, signal] = await once(child, 'exit')
	clearTimeout(limit)
	if (code !== 0) {
		process.exitCode = 1 // The others are worth their while all the same.
		const how = signal === 'SIGKILL' ? `stopped after ${stages[name]!.seconds} s` : `failed: ${signal ?? `exit code ${code}`}`
		await writeResults(name, [...readResults(name), { what: 'the rest', got: how, target: '' }])
	}
	console.log(`(${name}: ${((performance.now() - began) / 1000).toFixed(0)} s)\n`)
}
console.log(`| stage | | ${values.quick ? 'tried, not measured' : 'measured'} | target |\n|---|---|---|---|`)
for (const stage of Object.keys(stages)) {
	for (const { what, got, target } of readResults(stage)) {
		console.log(`| ${stage} | ${what} | ${got} | ${target} |`)
	}
}
