import type { FirstStage } from './first-stage.ts'

/** No first stage, f = 1: diffusion in pixels, as the paper's LDM-1. */
export const identity: FirstStage = {
	factor: 1,
	encode: async (image) => () => image,
	decode: async (z) => z
}
