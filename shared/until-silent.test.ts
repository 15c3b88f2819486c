import { expect, test } from 'vitest'
import { untilSilent } from './until-silent.ts'

test('a stream that is silent for longer than ours are is broken off', async () => {
	let canceled = false
	const silent = new ReadableStream<Uint8Array>({
		start: (controller) => controller.enqueue(new TextEncoder().encode(': nothing\n\n')),
		cancel() {
			canceled = true
		}
	})
	expect(await new Response(untilSilent(silent, 100)).text()).toBe(': nothing\n\n')
	expect(canceled).toBe(true)
})
