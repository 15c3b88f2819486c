import { z } from 'zod'
import type { Options } from '../main.ts'
import { cases, type Name } from '../models.ts'
import { python } from '../python.ts'
import { type Report, readResults } from '../results.ts'

const Answer = z.object({
	model: z.string(),
	way: z.string(),
	/** How many pictures at once, and seconds for all of them. */
	pictures: z.int(),
	seconds: z.number()
})

/** The same networks in PyTorch, as graphs/torch_speed.py runs them, and how the results of the stage `sizes` compare. */
export async function torch({ provider, quick, seconds, models }: Options, report: Report): Promise<void> {
	const given = ['--device', provider, '--seconds', String(seconds - 10), ...(quick ? ['--tiny'] : [])]
	for await (const line of python('torch_speed.py', ...given, ...wanted(models))) {
		if (!line.startsWith('{')) {
			await report('PyTorch', line)
			continue
		}
		const { model, way, pictures, seconds } = Answer.parse(JSON.parse(line))
		const rate = pictures / seconds
		await report(`${model}, ${way}: pictures a second, ${pictures} at once`, rate.toFixed(2))
		const own = ownRate(model, pictures)
		if (own) {
			await report(`${model}, ${way}: Darkroom over that, in calls of ${pictures}`, (own / rate).toFixed(2), '≥ 1.2')
		}
	}
}

/** Pictures a second that the stage `sizes` measured. */
function ownRate(model: string, pictures: number): number | undefined {
	const rateOf = (what: string) => readResults(`sizes,${model}`).find((line) => line.what.startsWith(`${model}: ${what}`))?.value
	const latency = rateOf('seconds for one picture')
	return pictures === 1 ? latency && 1 / latency : rateOf('pictures a second')
}

/** MODEL:PICTURES:STEPS:GUIDED, with as many pictures as the call had that was best for us, which is kind to neither. */
function wanted(models: readonly Name[]): string[] {
	const own = models.flatMap((name) => readResults(`sizes,${name}`))
	return models.map((name) => {
		const { steps = 50, guidance = 1 } = cases[name].drawing as { steps?: number; guidance?: number }
		const line = new RegExp(`^${name.replace('.', '\\.')}: pictures a second, .* (\\d+) evaluations a call`)
		const evaluations = own.flatMap(({ what }) => line.exec(what)?.[1] ?? [])
		const guided = guidance === 1 ? 0 : 1
		return [name, Math.max(1, Number(evaluations[0] ?? 1) / (1 + guided)), steps, guided].join(':')
	})
}
