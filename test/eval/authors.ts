import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { readCommandLine } from '../../shared/command-line.ts'
import { develop, drawingOf, type Golden, misses } from '../../worker-gpu/golden/pipelines.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'

/*
 * `npm run eval:authors`: draws with the models that infra/model-kit/reference/authors.py has exported there from the authors' checkpoints, or files.py
 * from Stable Diffusion in one file, and says how far latents and pictures are from the authors' own, or diffusers', relative to their largest value. Ends with 1 where one is further than it may be.
 */

const usage = `npm run eval:authors -- DIR [NAME …]

DIR is what authors.py or files.py of infra/model-kit/reference has written; each NAME is a config in there, all of them by default.`
const [folder, ...names] = readCommandLine(usage, { allowPositionals: true }).positionals
if (!folder || !existsSync(folder)) {
	console.error(
		`expected the folder that authors.py or files.py of infra/model-kit/reference has written, got ${folder ?? 'nothing'}\n\n${usage}`
	)
	process.exit(1)
}
const provider = await chooseProvider('cpu', 1)
console.log('| config | latent | picture | by sampler: latent, picture |\n|---|---|---|---|')
for (const name of names.length > 0 ? names : readdirSync(folder).sort()) {
	const golden = JSON.parse(readFileSync(path.join(folder, name, 'drawn.json'), 'utf8')) as Golden
	const checkpoint = await loadCheckpoint(path.join(folder, name), provider, { milliseconds: 0 })
	const worst = { latent: 0, pixels: 0 }
	const each: string[] = []
	for (const expected of golden.drawn) {
		const { request } = expected
		const plan = await planFor(checkpoint, drawingOf(request))
		const { latent, pixels } = misses(await develop(plan, request.seed), expected, golden)
		worst.latent = Math.max(worst.latent, latent)
		worst.pixels = Math.max(worst.pixels, pixels)
		each.push(
			`${request.sampler ?? 'own'} × ${request.steps} ${latent.toExponential(0)}, ${expected.pixels === null ? '–' : pixels.toExponential(0)}`
		)
	}
	if (!(worst.latent < 1e-4 && worst.pixels < 1e-3)) {
		process.exitCode = 1
	}
	console.log(`| ${name} | ${worst.latent.toExponential(0)} | ${worst.pixels.toExponential(0)} | ${each.join('; ')} |`)
}
