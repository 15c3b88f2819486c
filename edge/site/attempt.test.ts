import { expect, test } from 'vitest'
import { DarkroomError, Unanswered } from '../../shared/call.ts'
import { reasonOf } from './attempt.ts'

test('what the API said, a server that is away, and a fault of the page are told apart', () => {
	expect(reasonOf(new TypeError('Failed to fetch'))).toBe('The server cannot be reached.')
	expect(reasonOf(new Unanswered())).toBe('The server did not answer within 30 seconds.')
	expect(reasonOf(new DarkroomError(503, {}))).toBe('The server answered 503.')
	expect(reasonOf(new DarkroomError(402, { detail: 'No credit.' }))).toBe('No credit.')
	expect(reasonOf(new DarkroomError(429, { detail: 'Too many.' }, 7))).toBe('Too many. Try again in 7 s.')
	expect(reasonOf(new DarkroomError(429, { detail: 'Spent.' }, 46_801))).toBe('Spent. Try again in 14 h.')
	expect(reasonOf(new DOMException('the image is broken', 'EncodingError'))).toContain('the image is broken')
})
