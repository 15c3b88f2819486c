import { expect, test } from 'vitest'
import { DarkroomError } from '../../shared/client.ts'
import { reasonOf } from './attempt.ts'

test('what the API said, a server that is away, and a fault of the page are told apart', () => {
	expect(reasonOf(new TypeError('Failed to fetch'))).toBe('The server cannot be reached.')
	expect(reasonOf(new DarkroomError(503, {}))).toBe('The server answered 503.')
	expect(reasonOf(new DarkroomError(402, { detail: 'No credit.' }))).toBe('No credit.')
	const problem = { detail: 'The order may cost 1410 micro-units; 0 are available.', needed: 1_410, available: 0 }
	expect(reasonOf(new DarkroomError(402, problem))).toBe('It may cost 0.00141, which is more than the 0.00 that you have.')
	expect(reasonOf(new DarkroomError(429, { detail: 'Too many.' }, 7))).toBe('Too many. Try again in 7 s.')
	expect(reasonOf(new DOMException('the image is broken', 'EncodingError'))).toContain('the image is broken')
})
