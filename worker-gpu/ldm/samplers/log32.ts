const f = Math.fround

// P(y) and Q(y), highest power first; P has no constant.
const numerator = [0.025899791179079226, 0.3808837741388408, 1.4800006335765066, 2.112677543073053, 1, 0].map(f)
const denominator = [0.005875095403124574, 0.15464763749839067, 0.9864942958519419, 2.453006071784736, 2.6126775430731093, 1].map(
	f
)
const LN2 = f(Math.LN2)

/**
 * `numpy.log` of a float32, bit for bit (numpy/_core/src/umath/loops_exponent_log.dispatch.c.src): one value in ten is not the nearest float32, and the
 * timesteps that some schedules find through it are cut to whole numbers. Takes normal numbers above zero.
 *
 * x = 2^e (1 + y) with √½ < 1 + y ≤ √2; log(1 + y) ≈ P(y) / Q(y). Each a b + c is rounded once.
 */
export function log32(x: number): number {
	let e = Math.floor(Math.log2(x))
	let mantissa = x / 2 ** e
	if (mantissa > Math.SQRT2) {
		e += 1
		mantissa /= 2
	}
	const y = f(mantissa - 1)
	const horner = (coefficients: readonly number[]) => coefficients.reduce((sum, coefficient) => f(sum * y + coefficient))
	return f(e * LN2 + f(horner(numerator) / horner(denominator)))
}
