import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readCommandLine } from '../../shared/command-line.ts'
import type { SamplerName } from '../../shared/samplers.ts'
import { root } from '../root.ts'
import { goldenModels, type Worst, worstMisses } from './misses.ts'

/*
 * `npm run eval:reference`: draws everything that the golden files of pipelines hold, and writes the worst miss of each pipeline and sampler into
 * infra/model-kit/README.md.
 */

readCommandLine(
	"npm run eval:reference: draws all that the golden files hold, and writes into infra/model-kit/README.md how far it is from the reference's",
	{}
)
const page = path.join(root, 'infra/model-kit/README.md')
const [begin, end] = ['<!-- npm run eval:reference writes from here -->', '<!-- to here -->']

function table(worst: Map<string, Map<SamplerName | null, Worst>>): string {
	const shown = (value: number) => value.toExponential(0)
	const rows = Array.from(worst, ([pipeline, row]) => {
		const all = [...row.values()]
		const bySampler = Array.from(row, ([sampler, { latent }]) => `${sampler ?? 'own'} ${shown(latent)}`).join(', ')
		const most = (of: keyof Worst) => shown(Math.max(...all.map((each) => each[of])))
		return `| ${pipeline} | ${most('latent')} | ${most('pixels')} | ${bySampler} |`
	})
	return ['| pipeline | latent | pixels | latent by sampler |', '|---|---|---|---|', ...rows].join('\n')
}

const text = readFileSync(page, 'utf8')
const [from, to] = [text.indexOf(begin), text.indexOf(end)]
if (from < 0 || to < from) {
	throw new Error(`${page}: expected the lines "${begin}" and "${end}"`)
}
const worst: (readonly [string, Map<SamplerName | null, Worst>])[] = []
for (const model of goldenModels) {
	worst.push(...(await worstMisses(model)))
}
const measured = table(new Map(worst))
writeFileSync(page, `${text.slice(0, from + begin.length)}\n${measured}\n${text.slice(to)}`)
