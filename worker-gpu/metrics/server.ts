import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Metrics } from './metrics.ts'

/**
 * `GET /metrics` for Prometheus, and `GET /healthz`: 200 while the engine can be asked, 503 while it is being started again. It says nothing
 * about customers, and listens where it is told to, by default on this machine alone.
 */
export async function serveMetrics(metrics: Metrics, healthy: () => boolean, port: number, host: string): Promise<Server> {
	const server = createServer(({ method, url }, response) => {
		const [status, type, body] = answer(url, metrics, healthy)
		response.writeHead(status, { 'content-type': type }).end(method === 'HEAD' ? undefined : body)
	})
	server.listen(port, host)
	await once(server, 'listening') // Rejects with the server's error.
	return server
}

const text = 'text/plain; charset=utf-8'

function answer(url: string | undefined, metrics: Metrics, healthy: () => boolean): [status: number, type: string, body: string] {
	switch (url) {
		case '/metrics':
			return [200, 'text/plain; version=0.0.4; charset=utf-8', metrics.page()]
		case '/healthz':
			return healthy() ? [200, text, 'ok\n'] : [503, text, 'the engine is being started\n']
		default:
			return [404, text, 'expected /metrics or /healthz\n']
	}
}
