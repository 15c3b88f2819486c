/** The built edge (infra/build.ts) in a local workerd. The only place that knows Miniflare's options. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare'

const dist = join(import.meta.dirname, '../dist/edge')

export interface EdgeOptions {
	port: number
	/** Where objects, pictures and the accounts' databases are kept; in memory when absent. */
	dataDir?: string
	/** The Worker's secrets (edge/env.ts); origins follow from the port. */
	secrets: EdgeSecrets
	/** PEM, to serve https. */
	tls?: { key: string; cert: string }
	/** Where V8's inspector listens. */
	inspectorPort?: number
	/** A line of the Worker's or the runtime's log. */
	log?: (line: string) => void
	/** The runtime has ended, and Miniflare could not start it again, which it tries but once. */
	onLost?: () => void
}

export interface EdgeSecrets {
	QUEUE_URL: string
	DARKROOM_SECRET: string
	ADMIN_TOKEN: string
	S3_ACCESS_KEY_ID: string
	S3_SECRET_ACCESS_KEY: string
}

export interface Edge {
	url: string
	close(): Promise<void>
}

/** Starts the edge on 127.0.0.1. Resolves once it answers. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
	const { port, dataDir, secrets, tls, inspectorPort, log = console.log, onLost } = options
	const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
	const worker = JSON.parse(readFileSync(join(dist, 'options.json'), 'utf8'))
	if (dataDir) {
		// A Viewer keeps nothing, but the runtime has left an empty database of each that there was.
		rmSync(join(dataDir, 'do/-Viewer'), { recursive: true, force: true })
	}
	const s3Credentials = { accessKeyId: secrets.S3_ACCESS_KEY_ID, secretAccessKey: secrets.S3_SECRET_ACCESS_KEY }
	const miniflare = new Miniflare(
		convertV4MiniflareOptions({
			host: '127.0.0.1',
			port,
			cf: false, // Otherwise it is fetched from the internet.
			log: new LineLog(log, onLost),
			handleStructuredLogs: ({ message }) => log(message),
			...(tls && { https: true, httpsKey: tls.key, httpsCert: tls.cert }),
			...(inspectorPort && { inspectorPort }),
			...(dataDir && { resourcePersistencePath: dataDir }),
			workers: [
				{
					...worker,
					modules: true,
					scriptPath: join(dist, 'worker.js'),
					modulesRoot: dist, // Otherwise the current folder, which nothing that it loads may be outside of.
					bindings: {
						...worker.bindings,
						...secrets,
						PUBLIC_ORIGIN: url,
						S3_ENDPOINT: `${url}/cdn-cgi/local/r2/s3`,
						ALLOW_LOCAL_URLS: true
					},
					r2Buckets: { BUCKET: { ...worker.r2Buckets.BUCKET, s3Credentials } }
				}
			]
		})
	)
	await miniflare.ready
	return { url, close: () => miniflare.dispose() }
}

/** A worker that is not Darkroom's, such as one to compare it with: a bundle, with its Durable Objects' classes by their bindings. */
export async function startWorker(options: { port: number; script: string; objects: Record<string, string> }): Promise<Edge> {
	const { port, script, objects } = options
	const { compatibilityDate, compatibilityFlags } = JSON.parse(readFileSync(join(dist, 'options.json'), 'utf8'))
	const durableObjects = Object.fromEntries(
		Object.entries(objects).map(([name, className]) => [name, { className, useSQLite: true }])
	)
	const miniflare = new Miniflare(
		convertV4MiniflareOptions({
			host: '127.0.0.1',
			port,
			cf: false,
			workers: [{ name: 'worker', modules: true, scriptPath: script, compatibilityDate, compatibilityFlags, durableObjects }]
		})
	)
	await miniflare.ready
	return { url: `http://127.0.0.1:${port}`, close: () => miniflare.dispose() }
}

/** Miniflare's own messages, one line each; its banners and request lines are left out. */
class LineLog extends Log {
	readonly #write: (line: string) => void
	readonly #onLost: () => void

	constructor(write: (line: string) => void, onLost = () => {}) {
		super(LogLevel.WARN)
		this.#write = write
		this.#onLost = onLost
	}

	override error(error: Error & { code?: unknown }): void {
		super.error(error)
		if (error.code === 'ERR_RUNTIME_FAILURE') {
			this.#onLost()
		}
	}

	override log(message: string): void {
		this.#write(message)
	}
}

if (import.meta.main) {
	const { PORT, DATA_DIR, EDGE_SECRETS } = process.env
	if (!PORT || !DATA_DIR || !EDGE_SECRETS) {
		console.error('expected PORT, DATA_DIR and EDGE_SECRETS in the environment; `npm start` sets them')
		process.exit(78)
	}
	let edge: Edge | undefined
	const stop = async () => {
		await edge?.close()
		process.exit(0)
	}
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		process.once(signal, stop)
	}
	// Started by dev.ts, which may be killed at any moment: without it nobody would stop the runtime.
	process.once('disconnect', stop)
	edge = await startEdge({
		port: Number(PORT),
		dataDir: DATA_DIR,
		secrets: JSON.parse(EDGE_SECRETS),
		onLost: () => process.exit(1)
	}).catch((error: Error) => {
		console.error(error.message)
		process.exit(1)
	})
	console.log(`ready: ${edge.url}`)
}
