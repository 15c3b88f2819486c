import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import type { Task } from '../../shared/tasks.ts'
import { readConfig } from '../onnx/config.ts'
import { ModelError } from '../onnx/model-error.ts'
import { loadPart, type Part, type Stopwatch } from '../onnx/part.ts'
import type { Provider } from '../onnx/provider.ts'
import type { Drawing } from './drawing.ts'
import { readFacts } from './facts.ts'
import { ditPipeline } from './families/dit.ts'
import { flux } from './families/flux.ts'
import { stableDiffusionInstructPix2Pix, stableDiffusionXlInstructPix2Pix } from './families/instruct-pix2pix.ts'
import { latentConsistency } from './families/latent-consistency.ts'
import { ldmClassToImagePipeline } from './families/ldm-class-to-image.ts'
import { ldmInpaintPipeline } from './families/ldm-inpaint.ts'
import { ldmLayoutToImagePipeline } from './families/ldm-layout-to-image.ts'
import { ldmSemanticSynthesisPipeline } from './families/ldm-semantic-synthesis.ts'
import { ldmSuperResolutionPipeline } from './families/ldm-super-resolution.ts'
import { ldmTextToImagePipeline } from './families/ldm-text-to-image.ts'
import { stableDiffusion, stableDiffusionControlNet } from './families/stable-diffusion.ts'
import { stableDiffusion3 } from './families/stable-diffusion-3.ts'
import { stableDiffusionXl, stableDiffusionXlControlNet } from './families/stable-diffusion-xl.ts'
import { ddimPipeline, ddpmPipeline, ldmPipeline, pndmPipeline } from './families/unconditional.ts'
import { stableDiffusionUpscale } from './families/upscale.ts'
import { type ModelFolder, openFolder } from './model-folder.ts'
import type { Pause } from './pause.ts'
import type { Plan } from './plan.ts'

/** A loaded model: for each task that it can do, the way from a request to a plan. */
export type Checkpoint = Readonly<Partial<Record<Task, (drawing: Drawing, pause?: Pause) => Promise<Plan>>>>

/** Loads the parts of one kind of model, and says what it can do. */
export type Family = (folder: ModelFolder) => Promise<Checkpoint>

/** By the class of the diffusers pipeline that `model_index.json` names. */
const families: Readonly<Record<string, Family>> = {
	StableDiffusionPipeline: stableDiffusion,
	StableDiffusionImg2ImgPipeline: stableDiffusion,
	StableDiffusionInpaintPipeline: stableDiffusion,
	StableDiffusionXLPipeline: stableDiffusionXl,
	StableDiffusionXLImg2ImgPipeline: stableDiffusionXl,
	StableDiffusionXLInpaintPipeline: stableDiffusionXl,
	StableDiffusionControlNetPipeline: stableDiffusionControlNet,
	StableDiffusionControlNetImg2ImgPipeline: stableDiffusionControlNet,
	StableDiffusionControlNetInpaintPipeline: stableDiffusionControlNet,
	StableDiffusionXLControlNetPipeline: stableDiffusionXlControlNet,
	StableDiffusionXLControlNetImg2ImgPipeline: stableDiffusionXlControlNet,
	StableDiffusionXLControlNetInpaintPipeline: stableDiffusionXlControlNet,
	StableDiffusion3Pipeline: stableDiffusion3,
	StableDiffusion3Img2ImgPipeline: stableDiffusion3,
	StableDiffusion3InpaintPipeline: stableDiffusion3,
	FluxPipeline: flux,
	FluxImg2ImgPipeline: flux,
	FluxInpaintPipeline: flux,
	LatentConsistencyModelPipeline: latentConsistency,
	LatentConsistencyModelImg2ImgPipeline: latentConsistency,
	StableDiffusionInstructPix2PixPipeline: stableDiffusionInstructPix2Pix,
	StableDiffusionXLInstructPix2PixPipeline: stableDiffusionXlInstructPix2Pix,
	StableDiffusionUpscalePipeline: stableDiffusionUpscale,
	LDMTextToImagePipeline: ldmTextToImagePipeline,
	LDMSuperResolutionPipeline: ldmSuperResolutionPipeline,
	LDMInpaintPipeline: ldmInpaintPipeline,
	LDMClassToImagePipeline: ldmClassToImagePipeline,
	LDMLayoutToImagePipeline: ldmLayoutToImagePipeline,
	LDMSemanticSynthesisPipeline: ldmSemanticSynthesisPipeline,
	DiTPipeline: ditPipeline,
	LDMPipeline: ldmPipeline,
	DDPMPipeline: ddpmPipeline,
	DDIMPipeline: ddimPipeline,
	PNDMPipeline: pndmPipeline
}

/** The family of a folder in the diffusers/Optimum ONNX layout, by its `model_index.json` alone, and the class that it names. */
export async function readFamily(folder: string): Promise<{ family: Family; name: string }> {
	if (!existsSync(folder)) {
		throw new ModelError(folder, 'expected a folder in the diffusers ONNX layout, found nothing')
	}
	const index = path.join(folder, 'model_index.json')
	// Optimum writes its own classes: ORTStableDiffusionPipeline.
	const { _class_name: name, ...saved } = await readConfig(index, z.looseObject({ _class_name: z.string() }))
	const known = name.replace(/^(ORT|Onnx)/, '')
	const family = Object.hasOwn(families, known) && families[known]
	if (!family) {
		const strange = strangers(saved)
		const parts = strange.length > 0 ? `, with ${strange.join(' and ')}, which nothing here runs` : ''
		const all = Object.keys(families).join(', ')
		throw new ModelError(index, `_class_name: expected a pipeline that Darkroom draws with, got ${name}${parts}. It knows ${all}`)
	}
	return { family, name }
}

/** Classes of parts that some family reads, or leaves aside. */
const FAMILIAR =
	/^((Onnx|ORT)\w*|UNet2D(Condition)?Model|(SD3|Flux)Transformer2DModel|Autoencoder(KL|Tiny)|VQModel|(CLIPText|Bert|LDMBert|T5Encoder)Model\w*|\w*Tokenizer\w*|\w+Scheduler|\w*SafetyChecker|\w+(ImageProcessor|FeatureExtractor)\w*)$/

/** Parts of a pipeline, as `model_index.json` lists them ("controlnet": ["diffusers", "ControlNetModel"]), that are of no such class. */
function strangers(saved: Readonly<Record<string, unknown>>): string[] {
	return Object.entries(saved).flatMap(([part, named]) => {
		const className = Array.isArray(named) && typeof named[1] === 'string' ? named[1] : undefined
		return className && !FAMILIAR.test(className) ? [`${part} (${className})`] : []
	})
}

/**
 * Loads a folder in the diffusers/Optimum ONNX layout.
 *
 * @param loaded parts by their folder, which models share
 */
export async function loadCheckpoint(
	folder: string,
	provider: Provider,
	stopwatch: Stopwatch,
	loaded = new Map<string, Promise<Part>>()
): Promise<Checkpoint> {
	const { family, name } = await readFamily(folder)
	const { invariantFrom = 1 } = await readFacts(folder)
	// Measured on one CPU, for all: another one may take other kernels for a batch of one, so that the provider's own stays the least.
	const least = Math.max(provider.invariantFrom, provider.name === 'cpu' ? invariantFrom : 1)
	const load = (part: string) => {
		const loading = loaded.get(part) ?? loadPart(part, provider, stopwatch)
		loaded.set(part, loading)
		loading.catch(() => loaded.delete(part)) // Someone may mend it.
		return loading
	}
	return family(await openFolder(folder, name, { ...provider, invariantFrom: least }, load))
}

/** The plan for a drawing, or a clear refusal of a task that the model cannot do. Pauses before each network that encodes something. */
export async function planFor(checkpoint: Checkpoint, drawing: Drawing, pause?: Pause): Promise<Plan> {
	const pipeline = checkpoint[drawing.task]
	if (!pipeline) {
		throw new RangeError(`task: expected one of ${Object.keys(checkpoint).join(', ')}, got ${drawing.task}`)
	}
	return pipeline(drawing, pause)
}
