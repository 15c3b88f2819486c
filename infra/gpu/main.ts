/** `sh infra/gpu/run.sh STAGE …`: what is to be found out on a machine with a GPU. See README.md. */
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import type { ProviderChoice } from '../../worker-gpu/onnx/provider.ts'
import { type Line, readResults, writeResults } from './results.ts'
import { correct } from './stages/correct.ts'
import { probe } from './stages/probe.ts'

interface Stage {
	readonly what: string
	run(options: Options): Promise<Line[]>
}

export interface Options {
	readonly provider: ProviderChoice
	/** Small and few: shows that it works, measures nothing. */
	readonly quick: boolean
}

const stages: Record<string, Stage> = {
	probe: { what: 'which CUDA and cuDNN are here and wanted, and one product of two matrices', run: probe },
	correct: { what: 'how far pictures are from those of the golden files', run: correct }
}

const { values, positionals } = parseArgs({
	options: {
		help: { type: 'boolean', short: 'h' },
		provider: { type: 'string', default: 'cuda' },
		quick: { type: 'boolean', default: false }
	},
	allowPositionals: true
})
const unknown = positionals.find((name) => !(name in stages))
const provider = (['cuda', 'cpu'] as const).find((name) => name === values.provider)
if (values.help || unknown || !provider) {
	const list = Object.entries(stages).map(([name, { what }]) => `  ${name.padEnd(9)} ${what}`)
	console.log(`sh infra/gpu/run.sh [STAGE …] [--provider cuda|cpu] [--quick]\n\n${list.join('\n')}`)
	if (unknown || !provider) {
		console.error(unknown ? `\nexpected a stage, got ${unknown}` : `\n--provider: expected cuda or cpu, got ${values.provider}`)
		process.exit(1)
	}
	process.exit(0)
}

for (const name of positionals.length ? positionals : Object.keys(stages)) {
	const began = performance.now()
	const lines = await stages[name]!.run({ provider, quick: values.quick }).catch((error: Error): Line[] => {
		process.exitCode = 1 // The others are worth their while all the same.
		console.error(error)
		return [[name, `failed: ${error.message.split('\n')[0]}`, '']]
	})
	await writeResults(name, lines)
	console.log(`(${name}: ${((performance.now() - began) / 1000).toFixed(0)} s)`)
}
console.log('\n| stage | | measured | target |\n|---|---|---|---|')
for (const [stage, [what, got, target]] of await readResults(Object.keys(stages))) {
	console.log(`| ${stage} | ${what} | ${got} | ${target} |`)
}
process.exit()
