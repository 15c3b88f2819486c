import { createServer } from 'node:net'

/** Whether 127.0.0.1:`port` can be listened on. */
export const isFree = (port: number): Promise<boolean> => listen(port).then(Boolean)

/** A port of 127.0.0.1 that is free just now. */
export async function freePort(): Promise<number> {
	return (await listen(0)) as number
}

function listen(port: number): Promise<number | undefined> {
	return new Promise((resolve) => {
		const server = createServer()
		server.once('error', () => resolve(undefined))
		server.listen(port, '127.0.0.1', () => {
			const { port: taken } = server.address() as { port: number }
			server.close(() => resolve(taken))
		})
	})
}
