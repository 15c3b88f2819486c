/** `npm start`: the whole of Darkroom on one machine. PostgreSQL for the queue, the edge in workerd with local R2, one GPU node. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify, styleText } from 'node:util'
import { readCommandLine } from '../shared/command-line.ts'
import { openProducer } from '../shared/queue.ts'
import { askThisMachineDirectly } from './direct.ts'
import type { EdgeSecrets } from './edge.ts'
import { lock } from './lock.ts'
import { freePort, isFree } from './ports.ts'
import { preparePostgres } from './postgres.ts'
import { type ChildSpec, Supervisor } from './supervisor.ts'
import { writeWhole } from './write-whole.ts'

const usage = `npm start: runs Darkroom on this machine until Ctrl-C.

  PORT=8787           where the API listens, on 127.0.0.1
  DATA_DIR=.data      where pictures, accounts and the queue are kept between starts
  QUEUE_URL=          a PostgreSQL or Redis of yours (postgres://, redis://, rediss://) in place of the embedded PostgreSQL
  DARKROOM_PROVIDER=  cpu or cuda; by default cuda where its libraries load (npm run cuda brings them), else cpu`

const root = join(import.meta.dirname, '..')
/** Files, connections included, that one process may have open. The edge's runtime ends at each one that it cannot open: of 128, when eight pictures are asked for at once. */
const leastFiles = 256
const script = (path: string) => ({ command: process.execPath, args: [join(root, path)] })

const colours: Record<string, 'bold' | 'blue' | 'magenta' | 'green'> = {
	darkroom: 'bold',
	queue: 'blue',
	edge: 'magenta',
	'gpu-node': 'green'
}

function log(name: string, line: string): void {
	console.log(`${styleText(colours[name] ?? 'bold', `${name.padEnd(8)} |`)} ${line}`)
}

readCommandLine(usage, {})
// A terminal that was closed, a pipe of which nobody reads: what is told there is lost, and no reason to leave children behind.
for (const stream of [process.stdout, process.stderr]) {
	stream.on('error', () => {})
}
await main().catch((error: Error) => {
	console.error(`darkroom: ${error.message}`)
	process.exit(1)
})

async function main(): Promise<void> {
	const port = Number(process.env.PORT || 8787)
	if (!Number.isInteger(port) || port < 1 || port > 65_535) {
		throw new Error(`PORT: expected a number from 1 to 65535, got ${process.env.PORT}`)
	}
	const files = mostFiles()
	if (files < leastFiles) {
		throw new Error(`expected that a process may have ${leastFiles} files open, got ${files} (ulimit -n)`)
	}
	askThisMachineDirectly()
	await import('../shared/catalog.ts') // People edit it: what is wrong with it is told before anything runs.
	const dataDir = resolve(process.env.DATA_DIR || '.data')
	const held = lock(dataDir)
	process.once('exit', held.release)
	if (!(await isFree(port))) {
		throw new Error(`port ${port} is taken; stop what listens there, or choose another: PORT=${port + 1} npm start`)
	}

	const children: ChildSpec[] = []
	let stopping = false
	const stop = async (reason?: string) => {
		if (stopping) {
			return
		}
		stopping = true
		log('darkroom', reason ?? 'stopping')
		// The queue last: the others say goodbye to it.
		await supervisor.stop(
			children.filter(({ name }) => name !== 'queue'),
			3_000
		)
		await supervisor.stop(children, 1_500)
		process.exit(reason ? 1 : 0)
	}
	const note = (pids: number[]) => {
		try {
			held.note(pids)
		} catch (error) {
			log('darkroom', `cannot write down what runs: ${(error as Error).message}`) // A disk may be full for a while.
		}
	}
	const supervisor = new Supervisor(log, (message) => void stop(message), note)
	const start = (child: ChildSpec) => {
		children.push(child)
		return supervisor.start(child)
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(signal, () => void stop())
	}
	// Whatever ends us, the children are ended first: a PostgreSQL that is left alone would go on, and a second one begin on its files.
	process.on('uncaughtException', (error) => void stop(error.stack))
	if (process.env.npm_lifecycle_event === 'start') {
		// An npm that is ended, by whatever but Ctrl-C, ends its shell and does not tell us.
		const shell = process.ppid
		setInterval(() => process.ppid === shell || void stop(), 1_000).unref()
	}

	try {
		await bringUp({ port, dataDir, start })
	} catch (error) {
		const { message, cause } = error as Error
		await stop(cause instanceof Error ? `${message}: ${cause.message}` : message)
	}
}

/** Node.js has raised it as far as it may, for itself and its children. */
function mostFiles(): number {
	const { userLimits } = process.report.getReport() as { userLimits?: { open_files: { soft: number | 'unlimited' } } }
	const most = userLimits?.open_files.soft ?? 'unlimited'
	return most === 'unlimited' ? Number.POSITIVE_INFINITY : most
}

async function bringUp({
	port,
	dataDir,
	start
}: {
	port: number
	dataDir: string
	start(child: ChildSpec): Promise<void>
}): Promise<void> {
	const began = performance.now()
	log('darkroom', 'starting')
	const url = `http://127.0.0.1:${port}`
	const secrets = loadSecrets(join(dataDir, 'secrets.json'))
	const startQueue = async () => {
		const url = process.env.QUEUE_URL || (await startPostgres(join(dataDir, 'postgres'), start))
		const producer = openProducer(url)
		await producer.prepare().catch((error: Error & { code?: string }) => {
			// A name that has several addresses fails with a code alone.
			throw new Error(`the queue cannot be used${process.env.QUEUE_URL ? ' (QUEUE_URL)' : ''}: ${error.message || error.code}`)
		})
		await producer.close()
		return url
	}
	const [queueUrl] = await Promise.all([startQueue(), buildEdge()])
	const startEdge = start({
		name: 'edge',
		...script('infra/edge.ts'),
		env: {
			PORT: String(port),
			DATA_DIR: join(dataDir, 'edge'),
			EDGE_SECRETS: JSON.stringify({ ...secrets, QUEUE_URL: queueUrl } satisfies EdgeSecrets)
		},
		ready: /^ready: /,
		stop: 'SIGTERM',
		ipc: true
	})
	const startNode = start({
		name: 'gpu-node',
		...script('worker-gpu/main.ts'),
		env: { QUEUE_URL: queueUrl, EDGE_ORIGINS: url, CACHE_DIR: join(dataDir, 'cache'), DRAIN_SECONDS: '1' },
		ready: /^ready: /,
		stop: 'SIGTERM',
		ipc: true
	})
	await Promise.all([startEdge, startNode])

	const file = join(dataDir, 'dev.json')
	const apiKey = await demoKey(url, file, secrets.ADMIN_TOKEN)
	writeWhole(file, `${JSON.stringify({ url, apiKey, adminToken: secrets.ADMIN_TOKEN }, null, '\t')}\n`)
	log('darkroom', `ready in ${((performance.now() - began) / 1000).toFixed(1)} s at ${url}, key ${apiKey}. Ctrl-C stops it. Try:`)
	console.log(`
curl ${url}/v1/generations -H 'Prefer: wait=30' \\
  -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\
  -d '{"model":"scenes","prompt":"a large shiny red sphere on a grey floor"}'
`)
}

async function startPostgres(dataDir: string, start: (child: ChildSpec) => Promise<void>): Promise<string> {
	const { command, args, url } = await preparePostgres(dataDir, await freePort())
	await start({
		name: 'queue',
		command,
		args,
		ready: /ready to accept connections/,
		hide: / (LOG|CONTEXT): |^\t/,
		stop: 'SIGINT'
	})
	log('queue', 'ready: PostgreSQL')
	return url
}

async function buildEdge(): Promise<void> {
	const { command, args } = script('infra/build.ts')
	const building = promisify(execFile)(command, args)
	createInterface({ input: building.child.stdout! }).on('line', (line) => log('edge', line))
	await building.catch((error: { stderr: string }) => {
		throw new Error(`the edge does not build:\n${error.stderr}`)
	})
}

/** Made at the first start and kept, so that keys and signed URLs stay good. */
function loadSecrets(file: string): Omit<EdgeSecrets, 'QUEUE_URL'> {
	const secret = () => randomBytes(32).toString('hex')
	const made = {
		DARKROOM_SECRET: secret(),
		ADMIN_TOKEN: secret(),
		S3_ACCESS_KEY_ID: secret().slice(0, 32),
		S3_SECRET_ACCESS_KEY: secret()
	}
	if (!existsSync(file)) {
		writeWhole(file, JSON.stringify(made))
	}
	try {
		const kept = JSON.parse(readFileSync(file, 'utf8'))
		const missing = Object.keys(made).filter((name) => typeof kept?.[name] !== 'string')
		if (missing.length > 0) {
			throw new Error(`no ${missing.join(', ')}`)
		}
		return kept
	} catch (error) {
		throw new Error(
			`${file}: expected the secrets of the last start, got ${(error as Error).message}; without it, keys and URLs made before are void`
		)
	}
}

/** The key of the last start where it is still good, or a new one for the account "demo"; which has plenty of credit. */
async function demoKey(url: string, file: string, adminToken: string): Promise<string> {
	const admin = async (path: string, body: object) => {
		const answer = await fetch(`${url}/v1/admin/accounts/demo/${path}`, {
			method: 'POST',
			headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
			body: JSON.stringify(body)
		})
		if (!answer.ok) {
			throw new Error(`no demo account: the edge answered ${answer.status} ${await answer.text()}`)
		}
		return answer.json()
	}
	await admin('credits', { amount: 1_000_000_000_000, reference: 'npm start' })
	const kept = keyIn(file)
	if (kept && (await fetch(`${url}/v1/account`, { headers: { authorization: `Bearer ${kept}` } })).ok) {
		return kept
	}
	const made = (await admin('keys', { name: 'npm start', scopes: ['generate', 'read', 'admin'] })) as { key: string }
	return made.key
}

function keyIn(file: string): string | undefined {
	try {
		return JSON.parse(readFileSync(file, 'utf8')).apiKey
	} catch {
		return undefined // The first start, or a file that was damaged.
	}
}
