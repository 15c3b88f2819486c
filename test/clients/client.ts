import type { ClientStack } from './stack.ts'

/** An official client, unmodified, and what is done with it. Calls of one name do the same with different clients. */
export interface Client {
	name: string
	calls: Partial<Record<CallName, (stack: ClientStack) => Promise<void>>>
}

export const callNames = [
	'a picture by URL',
	'a picture as bytes',
	'several pictures, seeded',
	'as it develops (stream)',
	'waiting times out, then polling',
	'polling from the start',
	'cancel while it runs',
	'list',
	'models',
	'what is wrong with a request',
	'a wrong key'
] as const
export type CallName = (typeof callNames)[number]

/** More than a second's work for a CPU. */
export const long = { steps: 100, count: 4 }

const png = Buffer.from('89504e470d0a1a0a', 'hex')

/** Throws if `bytes` are no PNG. */
export function expectPng(bytes: ArrayBuffer | Uint8Array): void {
	const head = Buffer.from(bytes as Uint8Array).subarray(0, png.length)
	if (!head.equals(png)) {
		throw new Error(`expected a PNG, got ${head.toString('hex')}`)
	}
}
