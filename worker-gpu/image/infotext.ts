import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import type { SamplerName } from '../../shared/samplers.ts'

/** As AUTOMATIC1111's web UI calls them (modules/sd_samplers*.py); it has no DDPM. */
const samplers: Record<SamplerName, string> = {
	ddpm: 'DDPM',
	ddim: 'DDIM',
	pndm: 'PLMS',
	lms: 'LMS',
	euler: 'Euler',
	'euler-ancestral': 'Euler a',
	heun: 'Heun',
	'dpm++-2m': 'DPM++ 2M',
	'dpm++-2m-karras': 'DPM++ 2M Karras',
	'dpm++-2m-sde': 'DPM++ 2M SDE',
	'dpm++-2m-sde-karras': 'DPM++ 2M SDE Karras',
	unipc: 'UniPC',
	lcm: 'LCM'
}

/**
 * What was asked for as AUTOMATIC1111's web UI writes it, and reads it (modules/infotext_utils.py, `parse_generation_parameters`), and with it
 * Civitai and other viewers: the prompt, the negative one, and a line of the rest, of which no value has a comma, a colon or quotes.
 */
export function infotext(request: ResolvedRequest, seed: number): string {
	const { sampler, steps, guidance, image_guidance, width, height, model, strength } = request
	const negative = oneLine(request.negative_prompt ?? '')
	const settings = {
		Steps: steps,
		// The model's own has no name.
		Sampler: sampler && samplers[sampler],
		'CFG scale': guidance,
		'Image CFG scale': image_guidance,
		Seed: seed,
		Size: `${width}x${height}`,
		Model: model,
		'Denoising strength': strength,
		// Of whose numbers the noise is: those of `torch.Generator("cpu")`.
		RNG: 'CPU'
	}
	const told = Object.entries(settings).filter(([, value]) => value !== undefined && value !== null)
	return [
		oneLine(request.prompt),
		negative && `Negative prompt: ${negative}`,
		told.map(([name, value]) => `${name}: ${value}`).join(', ')
	]
		.filter(Boolean)
		.join('\n')
}

/** Readers know the parts by how their lines begin (Civitai's the negative prompt wherever its name stands), and a text of PNG holds no control characters. */
const oneLine = (text: string) =>
	text
		.replace(/[\s\p{Cc}]+/gu, ' ')
		.trim()
		.replaceAll('Negative prompt:', 'Negative prompt :')
