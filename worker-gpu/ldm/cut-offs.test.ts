import { expect, test } from 'vitest'
import golden from '../golden/text-to-image.json' with { type: 'json' }
import { tiny } from '../golden/tiny.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { loadCheckpoint, planFor } from './checkpoint.ts'
import { tellingCutOffs } from './cut-offs.ts'

const checkpoint = await loadCheckpoint(tiny, await chooseProvider('cpu', 1), { milliseconds: 0 })
const drawing = { task: 'text-to-image', guidance_rescale: 0, strength: 1, ...golden.drawn[0]!.request, sampler: null } as const

test.each([
	['words', 'red cube '.repeat(25), /^…(red|cube) /],
	['letters of two code units', `${'😀'.repeat(150)}!`, /^…😀/u],
	['one word', 'x'.repeat(300), /^…x{200}$/],
	['a word whose beginning is read', '##ing of a king', /^…ing of a king$/],
	['a letter whose beginning is read', '\ufffd\ufffd🚀', /^…🚀$/],
	['half a letter alone', '\ufffd', /^\ufffd$/]
])('what is told of an end of %s begins with a whole one', async (_, end, told) => {
	const conditioner = { encode: async () => ({}), cutOff: () => end }
	const { warnings } = await planFor(tellingCutOffs(conditioner, checkpoint), drawing)
	expect(warnings?.[0]?.detail.split('leaves out: ')[1]).toMatch(told)
})
