import type { Inputs } from '../denoiser.ts'

/** τ_θ of the paper's §3.3: from a condition y to what the U-Net attends to. */
export interface Conditioner<Condition> {
	encode(condition: Condition): Promise<Inputs>
}
