import { createServer } from 'node:net'

/** Whether nobody listens on 127.0.0.1:`port`. Rejects where we may or can not, either. */
export const isFree = (port: number): Promise<boolean> =>
	listen(port).then(
		() => true,
		(error: NodeJS.ErrnoException) => {
			if (error.code !== 'EADDRINUSE') {
				throw error
			}
			return false
		}
	)

/** A port of 127.0.0.1 that is free just now. */
export const freePort = (): Promise<number> => listen(0)

function listen(port: number): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer()
		server.once('error', reject)
		server.listen(port, '127.0.0.1', () => {
			const { port: taken } = server.address() as { port: number }
			server.close(() => resolve(taken))
		})
	})
}
