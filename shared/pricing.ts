import { z } from 'zod'
import type { ResolvedRequest } from './contract/generation.ts'

/** Money is counted in micro-units: whole millionths of whatever unit of currency an installation credits its accounts in. */
export const Amount = z.int().min(0)

/** An amount as people are told it: 1410 micro-units are 0.00141. At least two digits, at most six. */
export function inUnits(micro: number): string {
	// Not divided: a quotient has too few digits for all that an account may have.
	const rest = micro % 1_000_000
	return `${(micro - rest) / 1_000_000}.${String(rest)
		.padStart(6, '0')
		.replace(/0{1,4}$/, '')}`
}

/** What one picture costs, in micro-units: `picture`, and `megapixel_step` for each million pixels of a step, rounded up. */
export const Price = z.strictObject({ picture: Amount, megapixel_step: Amount })
export type Price = z.infer<typeof Price>

/** Of a model whose catalog entry names none. */
export const usualPrice: Price = { picture: 1_000, megapixel_step: 1_000 }

type Drawn = Pick<ResolvedRequest, 'width' | 'height' | 'steps'>

/** Of one picture. */
export function priceOf({ price }: { price: Price }, { width, height, steps }: Drawn): number {
	return price.picture + Math.ceil((width * height * steps * price.megapixel_step) / 1_000_000)
}
