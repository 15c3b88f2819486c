import kinds from './upcasting.json' with { type: 'json' }

/**
 * Whether a pipeline of this class, diffusers' or Optimum's, runs a first stage whose config says `force_upcast` in float32, whatever its other networks are in: in less it
 * overflows. The exporter (infra/model-kit/export) reads the same list.
 */
export const upcasts = (pipeline: string): boolean => kinds.some((kind) => pipeline.includes(kind))
