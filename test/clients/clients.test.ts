import { afterAll, beforeAll, describe, it } from 'vitest'
import { isInstalled } from '../installed.ts'
import { aiSdk } from './ai-sdk.ts'
import { fal } from './fal.ts'
import { openai } from './openai.ts'
import { replicate } from './replicate.ts'
import { type ClientStack, startClientStack } from './stack.ts'

// They speak TLS, for which openssl makes certificates.
describe.skipIf(!isInstalled('openssl'))('the client', () => {
	let stack: ClientStack
	beforeAll(async () => {
		stack = await startClientStack()
	})
	afterAll(() => stack?.close())

	describe.each([openai, replicate, fal, aiSdk])('$name', ({ calls }) => {
		it.each(Object.entries(calls))('%s', async (_, call) => {
			await call(stack)
		})
	})
})
