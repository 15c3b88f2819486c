import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { buildEdge } from '../../infra/build.ts'
import { startEdge } from '../../infra/edge.ts'
import { freePort } from '../../infra/ports.ts'
import type { Limits } from '../../shared/contract/account.ts'
import { openProducer } from '../../shared/queue.ts'
import { secrets } from '../edge.ts'
import { postgresServer } from '../queues.ts'
import { root } from '../root.ts'

/** The whole of Darkroom over TLS: Replicate's client takes only https and data URLs for files. */
export interface ClientStack {
	url: string
	/** The certificate authority's file, for NODE_EXTRA_CA_CERTS and its like. */
	ca: string
	/** A new key of a new account, with limits of its own. */
	key(limits?: Partial<Limits>): Promise<string>
	close(): Promise<void>
}

export async function startClientStack(): Promise<ClientStack> {
	await buildEdge()
	const dir = mkdtempSync(join(tmpdir(), 'darkroom-clients-'))
	const tls = certificates(dir)
	// What NODE_EXTRA_CA_CERTS does, for a process that already runs.
	setDefaultCACertificates([...getCACertificates('default'), readFileSync(tls.ca, 'utf8')])
	const queue = await postgresServer()
	await queue.start()
	const producer = openProducer(queue.url)
	await producer.prepare()
	await producer.close()
	const edge = await startEdge({
		port: await freePort(),
		secrets: { ...secrets, QUEUE_URL: queue.url },
		tls: { key: readFileSync(tls.key, 'utf8'), cert: readFileSync(tls.cert, 'utf8') }
	})
	const node = await startNode({ QUEUE_URL: queue.url, NODE_EXTRA_CA_CERTS: tls.ca })
	let accounts = 0
	return {
		url: edge.url,
		ca: tls.ca,
		async key(limits = {}) {
			accounts += 1
			const admin = (path: string, body: object) =>
				fetch(`${edge.url}/v1/admin/accounts/client-${accounts}/${path}`, {
					method: 'POST',
					headers: { authorization: `Bearer ${secrets.ADMIN_TOKEN}`, 'content-type': 'application/json' },
					body: JSON.stringify(body)
				})
			await admin('credits', { amount: 1_000_000_000, reference: 'clients' })
			return ((await (await admin('keys', { name: 'clients', limits })).json()) as { key: string }).key
		},
		async close() {
			const exited = new Promise((resolve) => node.once('exit', resolve))
			node.kill('SIGTERM')
			await exited
			await edge.close()
			await queue.remove()
			rmSync(dir, { recursive: true, force: true })
		}
	}
}

/** An authority that signs one certificate, for 127.0.0.1. */
function certificates(dir: string): { ca: string; key: string; cert: string } {
	const file = (name: string) => join(dir, name)
	const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
	const fresh = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2']
	openssl(...fresh, '-subj', '/CN=Darkroom tests', '-keyout', file('ca.key'), '-out', file('ca.pem'))
	openssl(
		...fresh,
		...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
		...['-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', file('edge.key'), '-out', file('edge.pem')]
	)
	return { ca: file('ca.pem'), key: file('edge.key'), cert: file('edge.pem') }
}

async function startNode(env: Record<string, string>): Promise<ChildProcess> {
	const child = spawn(process.execPath, [join(root, 'worker-gpu/main.ts')], {
		env: { ...process.env, DARKROOM_PROVIDER: 'cpu', DARKROOM_MODELS: 'scenes', ...env },
		stdio: ['ignore', 'pipe', 'inherit']
	})
	for await (const line of createInterface({ input: child.stdout! })) {
		if (line.startsWith('ready: ')) {
			child.stdout!.resume()
			return child
		}
	}
	throw new Error('the GPU node ended before it was ready')
}
