/** `npm run bench -- NAME …`: measures on this machine and prints tables. Nothing else should run meanwhile. */
import { cpus } from 'node:os'
import { readCommandLine } from '../../shared/command-line.ts'
import { edge } from './edge.ts'
import { engine, engineParts } from './engine/engine.ts'
import { faults } from './faults.ts'
import { footprint } from './footprint.ts'
import { imports } from './imports.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { pictures } from './pictures.ts'

interface Benchmark {
	readonly what: string
	/** What of it can be asked for alone. */
	readonly parts?: readonly string[]
	run(options: { quick: boolean; parts: readonly string[] }): Promise<void>
}

const benchmarks: Record<string, Benchmark> = {
	latency: { what: 'time of a request that is not spent inside ONNX Runtime', run: latency },
	pictures: { what: 'seconds from request to signed URL, one alone and eight at once', run: pictures },
	footprint: { what: 'resident memory of each process, at rest and at work', run: footprint },
	imports: { what: "memory that rewriting a U-Net's graph takes, by the weights in it", run: imports },
	edge: { what: 'accepted and refused requests a second, beside an object and a route that do next to nothing', run: edge },
	memory: { what: 'memory that large bodies take of the Worker, by the door that they come through', run: memory },
	faults: { what: 'what nodes that are killed while they draw lose', run: faults },
	engine: {
		what: 'what continuous batching gains and costs, against other ways on the same networks',
		parts: engineParts,
		run: engine
	}
}

const list = Object.entries(benchmarks).map(
	([name, { what, parts }]) => `  ${name.padEnd(11)} ${what}${parts ? `\n${' '.repeat(14)}parts: ${parts.join(', ')}` : ''}`
)
const usage = `npm run bench [-- NAME [PART …] … --quick]

${list.join('\n')}

  --quick     fewer pictures, where a benchmark is long`
const { values, positionals } = readCommandLine(usage, {
	options: { quick: { type: 'boolean', default: false } },
	allowPositionals: true
})
const names = positionals.filter((name) => Object.hasOwn(benchmarks, name))
const partsOf = (name: string) => positionals.filter((part) => benchmarks[name]!.parts?.includes(part))
const unknown = positionals.find((word) => !names.includes(word) && !names.some((name) => partsOf(name).includes(word)))
if (unknown) {
	const known = [...Object.keys(benchmarks), ...names.flatMap((name) => benchmarks[name]!.parts ?? [])]
	console.error(`expected one of ${known.join(', ')}; got ${unknown}`)
	process.exit(1)
}
const [cpu] = cpus()
console.log(`${cpus().length} × ${cpu!.model}, Node ${process.version}`)
for (const name of names.length ? names : Object.keys(benchmarks)) {
	console.log(`\n${name}: ${benchmarks[name]!.what}`)
	await benchmarks[name]!.run({ ...values, parts: partsOf(name) })
}
process.exit()
