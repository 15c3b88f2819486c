/**
 * How many evaluations a call is made of where one of a new size costs time of its own (onnx/session-per-shape.ts). Sizes are powers of two; one that was planned is taken as
 * it is, one that was not is filled up to the next that was, until that has wasted as much time as the plan would cost. Not knowing what comes, nothing does better than
 * twice the least (ski rental).
 */
export interface SteadySizes {
	/**
	 * The size of the next call: `wanted`, or more.
	 *
	 * @param key the shape of its rows
	 * @param limit what a call may hold
	 */
	choose(key: string, wanted: number, limit: number, isPlanned: (size: number) => boolean): number
	/** @param planned whether it was before the call */
	took(key: string, size: number, ms: number, planned: boolean): void
}

/** No call is filled up to more times what is wanted. */
const MOST_FILLED = 8

export function steadySizes(): SteadySizes {
	/** Milliseconds of the shortest call of a size, and of the first one, by key and size. */
	const usual = new Map<string, number>()
	const first = new Map<string, number>()
	/** Milliseconds that filling up has cost for want of a size. */
	const wasted = new Map<string, number>()
	/** What the plan of each has cost. The least of them counts: the first calls of all load the kernels too. */
	const plans = new Map<string, number>()

	return {
		choose(key, wanted, limit, isPlanned) {
			const fitting = fit(wanted, limit)
			const most = Math.min(limit, MOST_FILLED * fitting)
			let larger = fitting
			while (!isPlanned(larger) && larger < most) {
				larger = Math.min(2 * larger, most)
			}
			if (larger === fitting || !isPlanned(larger)) {
				return fitting
			}
			const of = `${key} ${fitting}`
			const waste = (wasted.get(of) ?? 0) + (usual.get(`${key} ${larger}`) ?? 0) * (1 - fitting / larger)
			wasted.set(of, waste)
			return waste > Math.min(...plans.values()) ? fitting : larger
		},
		took(key, size, ms, planned) {
			const of = `${key} ${size}`
			if (!planned) {
				first.set(of, ms)
				wasted.delete(of)
				return
			}
			const least = Math.min(ms, usual.get(of) ?? ms)
			usual.set(of, least)
			plans.set(of, Math.max(0, (first.get(of) ?? Number.POSITIVE_INFINITY) - least))
		}
	}
}

/** The least power of two that holds so many, but no more than the limit where that holds them too. */
const fit = (wanted: number, limit: number): number => Math.max(wanted, Math.min(2 ** Math.ceil(Math.log2(wanted)), limit))
