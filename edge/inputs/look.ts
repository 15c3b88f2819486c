import { inputLimits } from '../../shared/input-limits.ts'
import { InputType, type Size } from '../../shared/inputs.ts'
import { refuse } from '../refuse.ts'
import { damageOf } from './damage.ts'
import { type Inspected, inspect } from './inspect.ts'

/** A picture by its bytes alone, if it is one that can be drawn from; or an invalid-request problem that says at `pointer` why it is not. */
export function look(bytes: Uint8Array, pointer: string): Inspected {
	if (bytes.length > inputLimits.bytes) {
		return refuse(pointer, `at most ${inputLimits.bytes} bytes`, String(bytes.length))
	}
	const seen = inspect(bytes) ?? refuse(pointer, `an image: ${types}`, `${bytes.length} bytes ${kindOf(bytes)}`)
	if (seen.width * seen.height > inputLimits.pixels) {
		return refuse(pointer, `at most ${inputLimits.pixels} pixels`, pixels(seen))
	}
	if (Math.max(seen.width, seen.height) > inputLimits.side) {
		return refuse(pointer, `at most ${inputLimits.side} pixels a side`, pixels(seen))
	}
	const damage = damageOf(bytes, seen.type)
	const expected = seen.type === 'image/jpeg' ? 'a whole jpeg of 8 bits a sample' : `a whole ${nameOf(seen.type)}`
	return damage === undefined ? seen : refuse(pointer, expected, damage)
}

export const pixels = ({ width, height }: Size) => `${width} × ${height} pixels`

const nameOf = (type: InputType) => type.replace('image/', '')
const types = InputType.options.map(nameOf).join(', ')

/** How those begin that people have and may take for one of ours, in hexadecimal. */
const others: readonly (readonly [RegExp, string])[] = [
	[/^.{8}66747970(6865|6d6966)/, 'of HEIC'],
	[/^(49492a00|4d4d002a)/, 'of TIFF'],
	[/^424d/, 'of BMP'],
	[/^(ff0a|0000000c4a584c)/, 'of JPEG XL'],
	[/^25504446/, 'of PDF'],
	[/^(efbbbf)?(20|0a|0d|09)*3c/, 'of HTML or SVG']
]

function kindOf(bytes: Uint8Array): string {
	const first = Buffer.from(bytes.subarray(0, 12)).toString('hex')
	return others.find(([start]) => start.test(first))?.[1] ?? `that begin ${first || 'with nothing'}`
}
