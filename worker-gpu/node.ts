import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '../shared/queue.ts'
import { type ConsumerOptions, consume } from './consumer.ts'
import { startEngine } from './engine/client.ts'
import { readEnvironment } from './environment.ts'
import { type Tools, workOn } from './generation.ts'
import { openSigner } from './image/credentials.ts'
import { createMetrics, type Metrics } from './metrics/metrics.ts'
import { serveMetrics } from './metrics/server.ts'
import { oneLine } from './one-line.ts'

/** Milliseconds that handing back what is left may take. */
const HAND_BACK_MS = 3_000

const log = (line: string) => console.log(oneLine(line))

/** A node, until it is asked to leave. */
export async function run(): Promise<void> {
	const {
		QUEUE_URL,
		EDGE_ORIGINS,
		DARKROOM_PROVIDER,
		DARKROOM_MODELS,
		MODELS_DIR,
		CACHE_DIR,
		BATCH_LIMITS,
		DRAIN_SECONDS,
		METRICS_PORT,
		METRICS_HOST,
		...c2pa
	} = readEnvironment(process.env)
	const isSigning = Boolean(c2pa.C2PA_CERTIFICATE || c2pa.C2PA_PRIVATE_KEY)
	const signer = isSigning ? await openSigner(c2pa.C2PA_CERTIFICATE, c2pa.C2PA_PRIVATE_KEY) : undefined
	const asked = new AbortController()
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(signal, () => asked.abort())
	}
	process.on('disconnect', () => asked.abort()) // Our supervisor is gone, where it opened a channel.

	const metrics = createMetrics()
	if (signer) {
		metrics.signing(signer.subject, signer.until)
		log(`pictures are signed until ${signer.until.toISOString()}`)
	}
	// Loading may take long, and until it is over there is nothing to hand back.
	const leave = () => process.exit()
	asked.signal.addEventListener('abort', leave)
	const engine = await startEngine({
		...DARKROOM_MODELS,
		modelsDir: MODELS_DIR,
		provider: DARKROOM_PROVIDER,
		cacheDir: CACHE_DIR,
		measureLimits: BATCH_LIMITS === 'measured',
		log,
		onStats: metrics.engine,
		onLost() {
			log('the engine cannot be started again; the node ends')
			process.exitCode = 1
			asked.abort()
		}
	})
	asked.signal.removeEventListener('abort', leave)
	if (METRICS_PORT !== undefined) {
		await serveMetrics(metrics, () => engine.healthy, METRICS_PORT, METRICS_HOST).catch((error: Error) => {
			throw new Error(`METRICS_PORT: ${error.message}`)
		})
	}
	const { provider, reason, threads, models, loadMs } = engine.report
	log(`provider: ${provider} (${reason})`)
	log(`ready: ${models.join(', ')} on ${provider} (${threads} threads), loaded in ${(loadMs / 1000).toFixed(1)} s`)
	const tools = { engine, sign: signer?.sign, log, onDelivered: metrics.delivered }
	const queues = DARKROOM_MODELS.models.map((model) => ({ queueUrl: QUEUE_URL, model, edges: EDGE_ORIGINS, log }))
	await serve(tools, metrics, queues, DRAIN_SECONDS * 1_000, asked.signal)
	await engine.close()
	// Whatever still waits for an answer is abandoned with us.
	process.exit()
}

/**
 * Works until `asked`; then lets what ends within `grace` milliseconds finish, hands back the rest with its rows, and abandons what cannot be
 * handed back: its lease runs out at the edge.
 */
async function serve(
	tools: Tools,
	metrics: Metrics,
	queues: readonly Omit<ConsumerOptions, 'work'>[],
	grace: number,
	asked: AbortSignal
): Promise<void> {
	const abandon = new AbortController()
	const work = async (job: Job, waited: number) => {
		const done = metrics.taken(waited)
		try {
			const failure = await workOn(job, tools, abandon.signal)
			if (failure) {
				metrics.failed(failure)
			}
		} catch (error) {
			const { name, message } = error as Error
			metrics.failed(name)
			log(`${job.generation}: gave up: ${message}`)
			throw error
		} finally {
			done()
		}
	}
	const consumers = queues.map((queue) => consume({ ...queue, work }, asked))
	if (!asked.aborted) {
		await once(asked, 'abort')
	}
	const ended = Promise.all(consumers)
	await Promise.race([ended, delay(grace)])
	// A tick cannot be interrupted, and a large one on a CPU takes seconds: the engine itself knows how long it may take.
	await Promise.race([ended, tools.engine.halt().then(() => delay(HAND_BACK_MS))])
	abandon.abort(new Error('the node was stopped'))
}
