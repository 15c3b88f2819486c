import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { freePort } from '../../../infra/ports.ts'

export interface Letter {
	/** Where it came to. */
	path: string
	/** Of the message. */
	id: string
	type: string
	generation: string
	/** Of an image's event. */
	n: number | undefined
	/** It was told that we have it. */
	isAnswered: boolean
}

export interface Receiver {
	url: string
	letters: Letter[]
	close(): void
}

/** Takes webhooks. Each message can fail once: it is refused, or it arrives but the answer does not. */
export async function openReceiver(): Promise<Receiver> {
	const letters: Letter[] = []
	const server = createServer(async (request, response) => {
		try {
			const id = String(request.headers['webhook-id'])
			const { type, data } = JSON.parse(await text(request)) as { type: string; data: { id: string; image?: number } }
			const isNew = !letters.some((letter) => letter.id === id)
			const luck = isNew ? Math.random() : 1
			letters.push({ path: request.url!, id, type, generation: data.id, n: data.image, isAnswered: luck >= 0.2 })
			if (luck < 0.1) {
				response.writeHead(500).end()
			} else if (luck < 0.2) {
				response.destroy()
			} else {
				response.writeHead(204).end()
			}
		} catch {
			response.destroy()
		}
	})
	const port = await freePort()
	await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
	return { url: `http://127.0.0.1:${port}`, letters, close: () => server.close() }
}
