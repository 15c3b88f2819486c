import type { Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import type { Pause } from '../pause.ts'

/** τ_θ of the paper's §3.3: from a condition y to what the U-Net attends to. */
export interface Conditioner<Condition> {
	/** Pauses before each of its networks. */
	encode(condition: Condition, pause?: Pause): Promise<Inputs>
	/** The end of a condition's text that does not fit; empty where all of it does. */
	cutOff?(condition: Condition): string
}

/** A text to draw, or to keep away from. */
export interface Text extends Pick<Drawing, 'width' | 'height'> {
	/** Null where none was given, which SDXL tells from an empty one. */
	readonly text: string | null
	/** Whether to keep away from it; not by default. */
	readonly negative?: boolean
}
