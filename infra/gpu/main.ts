/** `sh infra/gpu/run.sh STAGE …`: what is to be found out on a machine with a GPU. See README.md. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readCommandLine } from '../../shared/command-line.ts'
import { mallocSettings, nodeOptions } from '../../worker-gpu/engine/heap.ts'
import type { ProviderChoice } from '../../worker-gpu/onnx/provider.ts'
import { cases, type Name } from './models.ts'
import { allResults, type Report, readResults, reporter, writeResults } from './results.ts'
import { attention } from './stages/attention.ts'
import { correct } from './stages/correct.ts'
import { engine } from './stages/engine.ts'
import { memory } from './stages/memory.ts'
import { nodes } from './stages/nodes.ts'
import { overlap } from './stages/overlap.ts'
import { probe } from './stages/probe.ts'
import { sizes } from './stages/sizes.ts'
import { torch } from './stages/torch.ts'
import { weights } from './stages/weights.ts'

interface Stage {
	readonly what: string
	/** It is stopped then, with what it has found. */
	readonly seconds: number
	/** Whether each model has a process of its own, and as many seconds. */
	readonly perModel?: boolean
	run(options: Options, report: Report): Promise<void>
}

export interface Options {
	readonly provider: Exclude<ProviderChoice, 'auto'>
	/** Narrow networks, and few of everything: shows that it works, measures nothing. */
	readonly quick: boolean
	readonly seconds: number
	readonly models: readonly Name[]
}

/** In the order of what is asked first, should there be no time for all. */
const stages: Record<string, Stage> = {
	probe: { what: 'which CUDA and cuDNN are here and wanted, and one product of two matrices', seconds: 30, run: probe },
	weights: {
		what: 'draws the weights of the models, which every other stage does where it finds none',
		seconds: 60,
		run: weights
	},
	sizes: {
		what: 'networks of real sizes: pictures a second, alone and at the best batch',
		seconds: 75,
		perModel: true,
		run: sizes
	},
	engine: { what: 'batch limit, newcomers, 64 mixed requests at once', seconds: 75, run: engine },
	torch: { what: 'the same networks in PyTorch, and compiled', seconds: 120, run: torch },
	correct: { what: 'how far pictures are from those of the golden files', seconds: 90, run: correct },
	attention: {
		what: "a call with the provider's own choice of attention, and with others",
		seconds: 30,
		perModel: true,
		run: attention
	},
	overlap: {
		what: "what the engine's work between two calls costs, with sessions in its own thread and in one of theirs",
		seconds: 60,
		run: overlap
	},
	memory: { what: "the GPU's memory over 2,000 pictures of mixed shapes", seconds: 60, run: memory },
	nodes: {
		what: 'what each network leaves to the CPU, and which operators take the time',
		seconds: 40,
		perModel: true,
		run: nodes
	}
}

const allModels = Object.keys(cases).join()
const list = Object.entries(stages).map(([name, { what, seconds }]) => `  ${name.padEnd(9)} ${what} (${seconds} s at most)`)
const usage = `sh infra/gpu/run.sh [STAGE …] [--models ${allModels}] [--seconds EACH] [--provider cuda|cpu] [--quick]\n\n${list.join('\n')}`
const { values, positionals } = readCommandLine(usage, {
	options: {
		provider: { type: 'string', default: 'cuda' },
		quick: { type: 'boolean', default: false },
		models: { type: 'string', default: allModels },
		seconds: { type: 'string' },
		/** What this process is for: a stage, or a stage,model. */
		run: { type: 'string' }
	},
	allowPositionals: true
})
const isModel = (name: string): name is Name => Object.hasOwn(cases, name)
const models = values.models.split(',').filter(isModel)
const unknown =
	positionals.find((name) => !Object.hasOwn(stages, name)) ?? values.models.split(',').find((name) => !isModel(name))
const provider = (['cuda', 'cpu'] as const).find((name) => name === values.provider)
if (unknown !== undefined || !provider) {
	console.error(
		unknown !== undefined
			? `expected a stage or model, got ${unknown}`
			: `--provider: expected cuda or cpu, got ${values.provider}`
	)
	process.exit(1)
}

const secondsOf = (stage: string) => Number(values.seconds ?? stages[stage]!.seconds)
if (values.run) {
	const [stage = ''] = values.run.split(',')
	// It is ended from outside: an exit waits for whatever threads and libraries do at an end. Also where who started it is gone, for it would keep the GPU.
	process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'))
	await stages[stage]!.run(
		{ provider, quick: values.quick, seconds: secondsOf(stage), models },
		reporter(values.run, values.quick)
	)
	process.send?.('done')
	await new Promise(() => {})
}
// Each in a process of its own: none can take another along, or keep the GPU's memory from it.
for (const stage of positionals.length ? positionals : Object.keys(stages)) {
	for (const given of stages[stage]!.perModel ? models : [undefined]) {
		const run = given ? `${stage},${given}` : stage
		console.log(`${run}: ${stages[stage]!.what}`)
		const began = performance.now()
		await writeResults(run, [])
		const own = ['--run', run, ...(given ? ['--models', given] : [])]
		const child = spawn(process.execPath, [...nodeOptions, import.meta.filename, ...process.argv.slice(2), ...own], {
			stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
			env: { ...mallocSettings, ...process.env }, // As the engine's own.
			detached: true
		})
		const kill = () => process.kill(-child.pid!, 'SIGKILL') // With those that it started.
		const limit = setTimeout(kill, secondsOf(stage) * 1000)
		let done = false
		child.once('message', () => {
			done = true
			kill()
		})
		const [code, signal] = await once(child, 'exit')
		clearTimeout(limit)
		if (!done) {
			process.exitCode = 1 // The others are worth their while all the same.
			const how = signal === 'SIGKILL' ? `stopped after ${secondsOf(stage)} s` : `failed: ${signal ?? `exit code ${code}`}`
			await writeResults(run, [...readResults(run), { what: 'the rest', got: how, target: '' }])
		}
		console.log(`(${run}: ${((performance.now() - began) / 1000).toFixed(0)} s)\n`)
	}
}
console.log(`| stage | | ${values.quick ? 'tried, not measured' : 'measured'} | target |\n|---|---|---|---|`)
for (const [run, lines] of Object.entries(allResults())) {
	for (const { what, got, target } of lines) {
		console.log(`| ${run} | ${what} | ${got} | ${target} |`)
	}
}
