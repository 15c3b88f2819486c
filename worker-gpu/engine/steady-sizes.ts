/**
 * How many evaluations a call is made of where one of another shape than the last costs time of its own: on CUDA ONNX Runtime has cuDNN plan every convolution
 * anew whenever its input changes shape, and remembers no other (microsoft/onnxruntime#23006: 30 ms become 500). So sizes are powers of two, and one that has
 * become too large is kept, filled up with copies, until that has wasted as much time as the change would cost. Not knowing what comes, nothing does
 * better than twice the least (ski rental).
 */
export interface SteadySizes {
	/**
	 * The size of the next call: `wanted`, or more.
	 *
	 * @param key the shape of its rows
	 * @param limit what a call may hold
	 */
	choose(key: string, wanted: number, limit: number): number
	/** Milliseconds that a call took. What is of another shape than the one that was chosen last says nothing any more. */
	took(key: string, size: number, ms: number): void
}

export function steadySizes(): SteadySizes {
	let shape = { key: '', size: 0 }
	/** Of the calls of this shape: how many, the first one's time, and the shortest of the others. */
	let [calls, first, usual] = [0, 0, Number.POSITIVE_INFINITY]
	/** The least that a change has cost; the first calls of all load the kernels too. */
	let change = Number.POSITIVE_INFINITY
	let wasted = 0

	return {
		choose(key, wanted, limit) {
			const fitting = Math.max(wanted, Math.min(2 ** Math.ceil(Math.log2(wanted)), limit))
			if (key === shape.key && fitting <= shape.size) {
				const waste = Math.min(usual, first) * (1 - fitting / shape.size)
				wasted = waste > 0 ? wasted + waste : 0
				if (wasted <= change) {
					return shape.size
				}
			}
			shape = { key, size: fitting }
			;[calls, first, usual, wasted] = [0, 0, Number.POSITIVE_INFINITY, 0]
			return fitting
		},
		took(key, size, ms) {
			if (key !== shape.key || size !== shape.size) {
				return
			}
			calls += 1
			if (calls === 1) {
				first = ms
			} else {
				usual = Math.min(usual, ms)
				change = Math.min(change, Math.max(0, first - usual))
			}
		}
	}
}
