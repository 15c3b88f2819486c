/**
 * One block of 16 uniforms in place to 16 normals, bit for bit as torch's AVX2 kernel `normal_fill_16_AVX2` does it: float32 Box–Muller
 * on the Cephes `log` and `sincos` of aten/src/ATen/native/cpu/avx_mathfun.h. The compiler fuses that code's multiplications
 * with the additions that follow, so each `fma` below stands where it puts one; `Math.log` misses a third of the values.
 */
export function boxMullerBlock(data: Float32Array, at: number): void {
	for (let j = at; j < at + 8; j++) {
		const u1 = fround(1 - data[j]!) // [0, 1) → (0, 1]
		const u2 = data[j + 8]!
		const radius = fround(Math.sqrt(fround(-2 * log(u1))))
		const [sin, cos] = sincos(fround(TWO_PI * u2))
		data[j] = radius * cos
		data[j + 8] = radius * sin
	}
}

const { fround } = Math
const TWO_PI = fround(2 * Math.PI)

/**
 * float32(a × b + c), rounded once. The product of two float32 is exact in a double; the sum is not, and rounding it a second
 * time goes wrong only where the double lies exactly half way between two float32: there the lost part decides.
 */
function fma(a: number, b: number, c: number): number {
	const product = a * b
	const sum = product + c
	const nearest = fround(sum)
	const rest = sum - nearest
	if (rest === 0 || fround(nearest + 2 * rest) !== nearest + 2 * rest) {
		return nearest
	}
	// Knuth's two-sum: `lost` is what the double's rounding took away.
	const part = sum - product
	const lost = product - (sum - part) + (c - part)
	if (lost === 0) {
		return nearest
	}
	return lost > 0 ? Math.max(nearest, nearest + 2 * rest) : Math.min(nearest, nearest + 2 * rest)
}

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

const SQRT_HALF = fround(Math.SQRT1_2)
const LOG_P = [
	7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
	-2.4999993993e-1, 3.3333331174e-1
].map(fround)
const LOG_Q1 = fround(-2.1219444e-4)
const LOG_Q2 = fround(0.693359375)

function log(value: number): number {
	// value = x · 2^e, x in [1/2, 1)
	float[0] = value
	let e = (bits[0]! >>> 23) - 126
	bits[0] = (bits[0]! & 0x807fffff) | 0x3f000000
	let x = float[0]!
	if (x < SQRT_HALF) {
		e -= 1
		x = fround(fround(x - 1) + x)
	} else {
		x = fround(x - 1)
	}
	const z = fround(x * x)
	let y = LOG_P[0]!
	for (let i = 1; i < LOG_P.length; i++) {
		y = fma(y, x, LOG_P[i]!)
	}
	y = fround(y * x)
	y = fma(y, z, fround(e * LOG_Q1))
	y = fma(z, -0.5, y)
	return fma(e, LOG_Q2, fround(x + y))
}

const FOUR_OVER_PI = fround(1.27323954473516)
const DP1 = fround(-0.78515625)
const DP2 = fround(-2.4187564849853516e-4)
const DP3 = fround(-3.774894977445941e-8)
const COS_P = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(fround) as [number, number, number]
const SIN_P = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(fround) as [number, number, number]

function sincos(angle: number): [sin: number, cos: number] {
	const octant = (Math.trunc(fround(angle * FOUR_OVER_PI)) + 1) & ~1
	// Cody and Waite: subtract octant · π/4 in three parts
	let x = fma(octant, DP1, angle)
	x = fma(octant, DP2, x)
	x = fma(octant, DP3, x)
	const z = fround(x * x)

	let c = fma(COS_P[0], z, COS_P[1])
	c = fma(c, z, COS_P[2])
	c = fround(c * z)
	c = fround(fma(c, z, -fround(z * 0.5)) + 1)

	let s = fma(SIN_P[0], z, SIN_P[1])
	s = fma(s, z, SIN_P[2])
	s = fround(s * z)
	s = fma(s, x, x)

	const sinSign = octant & 4 ? -1 : 1
	const cosSign = (octant - 2) & 4 ? 1 : -1
	return octant & 2 ? [sinSign * c, cosSign * s] : [sinSign * s, cosSign * c]
}
