import type { GenerationRequest } from '../../shared/contract/generation.ts'

/** Of the pages, and so of their numbers and dates, whatever the browser speaks: a date that goes from right to left took the number after it along. */
const language = 'en-GB'

/** An amount of micro-units as units, with as many digits as it has: at least two, at most six, and two alone from 100 on. */
export function money(micro: number): string {
	const shown = micro < 100_000_000 ? micro : micro - (micro % 10_000)
	return (shown / 1_000_000).toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 6 })
}

export const count = (value: number): string => value.toLocaleString(language)

/** What a generation is called: by what was asked for. */
export const nameOf = ({ prompt, task }: Pick<GenerationRequest, 'prompt' | 'task'>): string => prompt || task || 'Picture'

export const when = (time: string): string => new Date(time).toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' })

export const day = (time: string | number): string => new Date(time).toLocaleDateString(language, { dateStyle: 'medium' })
