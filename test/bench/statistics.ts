/** The value below which a share `p` of the sorted values lies (nearest rank). */
export function quantile(values: readonly number[], p: number): number {
	const sorted = [...values].sort((a, b) => a - b)
	return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] as number
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)
