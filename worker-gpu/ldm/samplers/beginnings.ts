import type { SamplerFor } from './load.ts'

/** For pipelines that never call scale_model_input nor read init_noise_sigma: the network is shown the latent as it is, and it begins as plain noise. */
export const unscaled =
	(samplerFor: SamplerFor): SamplerFor =>
	(choice) => ({ ...samplerFor(choice), initialSigma: 1, scale: (x) => x })

/** For a pipeline that reads init_noise_sigma before set_timesteps, when the scheduler still stands at the last timestep of training. */
export const fromFullNoise =
	(samplerFor: SamplerFor): SamplerFor =>
	(choice) => {
		const sampler = samplerFor(choice)
		return { ...sampler, initialSigma: sampler.fullSigma ?? sampler.initialSigma }
	}
