import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kit } from './judge.ts'
import type { Square } from './regions.ts'

/** A class of the demo model's maps, with the colour that means it. */
export interface MapClass {
	readonly name: string
	readonly color: string
}

/** The tasks' questions, as `python -m tasks questions` writes them. */
export interface Questions {
	/** "red sphere" */
	readonly labels: readonly string[]
	/** Of floors.png. */
	readonly floors: readonly string[]
	readonly layouts: readonly { real: number; boxes: { label: number; box: [number, number, number, number] }[] }[]
	/** `box`: of the object that is to become another. Pixels. */
	readonly masks: readonly { real: number; mask: Square; box: Square; label: number; caption: string }[]
	/** Of maps.png, tile i of which is of real scene i; the floors come first. */
	readonly maps: { readonly count: number; readonly classes: readonly MapClass[] }
}

export const questions: Questions = JSON.parse(readFileSync(join(kit, 'tasks.json'), 'utf8'))
