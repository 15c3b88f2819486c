import { createHash } from 'node:crypto'
import type { Generation } from '../shared/contract/generation.ts'
import { descendants } from './processes.ts'
import type { Stack } from './stack.ts'

/** What a stack has at work, for those who stop and kill it. `npm start` starts a node again whose process has ended, whatever ended it. */
export const nodeOf = (stack: Stack): number => find(stack, /worker-gpu\/main\.ts/)
export const engineOf = (stack: Stack): number => find(stack, /worker-gpu\/engine\/process\.ts/)

function find({ process: { pid } }: Stack, pattern: RegExp): number {
	const found = descendants(pid!).find(({ command }) => pattern.test(command))
	if (!found) {
		throw new Error(`expected a process of ${pattern}, found none`)
	}
	return found.pid
}

/** Evaluations done, as the edge was told last; undefined where the generation has ended. */
export async function doneOf(stack: Stack, id: string): Promise<number | undefined> {
	const { completed_at, progress } = (await (await stack.fetch(`/v1/generations/${id}`)).json()) as Generation
	return completed_at ? undefined : (progress?.done ?? 0)
}

/** Pictures that can be fetched already. */
export async function deliveredOf(stack: Stack, id: string): Promise<number> {
	const { images } = (await (await stack.fetch(`/v1/generations/${id}`)).json()) as Generation
	return images.length
}

/** SHA-256 of each picture, as it is stored. */
export const digests = ({ images }: Generation): Promise<string[]> =>
	Promise.all(
		images.map(async ({ url }) => {
			const bytes = await (await fetch(url)).arrayBuffer()
			return createHash('sha256').update(new Uint8Array(bytes)).digest('hex')
		})
	)

/** How often the nodes have said of a generation that has ended that they drew it to its end. */
export async function timesDrawn({ line, output }: Stack, id: string): Promise<number> {
	const told = new RegExp(`${id}.* in [0-9.]+ s, `)
	// What a process prints has a longer way than what the edge answers.
	await line(told)
	return output.filter((printed) => told.test(printed)).length
}
