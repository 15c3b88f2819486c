import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { SamplerName } from '../../shared/samplers.ts'
import { develop, drawingOf, type Golden, misses, open } from '../../worker-gpu/golden/pipelines.ts'
import { planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { root } from '../root.ts'

/*
 * `npm run eval:reference`: draws everything that the golden files of pipelines hold, and writes the worst miss of each pipeline and sampler into
 * infra/model-kit/README.md.
 */

const goldens = ['stable-diffusion.json', 'paper.json']
const page = path.join(root, 'infra/model-kit/README.md')
const [begin, end] = ['<!-- npm run eval:reference writes from here -->', '<!-- to here -->']

interface Worst {
	latent: number
	pixels: number
}

/** Worst misses by pipeline (a model and a task), then by sampler. */
async function measure(): Promise<Map<string, Map<SamplerName | null, Worst>>> {
	const worst = new Map<string, Map<SamplerName | null, Worst>>()
	for (const file of goldens) {
		const golden = JSON.parse(readFileSync(path.join(root, 'worker-gpu/golden', file), 'utf8')) as Golden
		for (const [name, model] of Object.entries(golden.models)) {
			const checkpoint = await open(model)
			for (const expected of golden.drawn.filter((drawn) => drawn.model === name)) {
				const { request } = expected
				const plan = await planFor(checkpoint, drawingOf(request))
				const { latent, pixels } = misses(await develop(plan, request.seed), expected, golden)
				const pipeline = `${name}, ${request.task}`
				const row = worst.get(pipeline) ?? new Map<SamplerName | null, Worst>()
				const before = row.get(request.sampler) ?? { latent: 0, pixels: 0 }
				row.set(request.sampler, { latent: Math.max(before.latent, latent), pixels: Math.max(before.pixels, pixels) })
				worst.set(pipeline, row)
			}
		}
	}
	return worst
}

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
const measured = table(await measure())
writeFileSync(page, `${text.slice(0, from + begin.length)}\n${measured}\n${text.slice(to)}`)
