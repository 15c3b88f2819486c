import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { freePort } from '../infra/ports.ts'
import { preparePostgres } from '../infra/postgres.ts'
import { layCluster } from './cluster.ts'
import { isInstalled } from './installed.ts'

/** A real queue server that a test can stop, start again and empty. */
export interface QueueServer {
	url: string
	start(): Promise<void>
	stop(): Promise<void>
	/** Drops everything that the queue has written, its schema or key space included. */
	wipe(): Promise<void>
	/** Ends everybody's connection, as an administrator does. */
	hangUp(): Promise<void>
	/** Whether it takes what is written, as a server that is full, or a replica now, does not. */
	take(writes: boolean): Promise<void>
	/** Stops it and removes its data. */
	remove(): Promise<void>
}

/** Whether suites on Redis run; openssl is for its certificate. */
export const withRedis = isInstalled('redis-server') && isInstalled('openssl')

export async function postgresServer(): Promise<QueueServer> {
	const dir = mkdtempSync(join(tmpdir(), 'darkroom-postgres-'))
	const port = await freePort()
	const { command, args, url } = await preparePostgres(layCluster(dir), port)
	return server({
		dir,
		url,
		spawn: () => spawn(command, args, { stdio: 'ignore' }),
		signal: 'SIGINT',
		// Its own start, or what it has to do again after it was killed, may take a while.
		answer: () => asked(url, async () => {}),
		async wipe() {
			await asked(url, (client) => client.query('drop schema bullmq cascade'))
		},
		async hangUp() {
			const others = "pid <> pg_backend_pid() and backend_type = 'client backend'"
			await asked(url, (client) => client.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${others}`))
		},
		async take(writes) {
			await asked(url, async (client) => {
				await client.query('set default_transaction_read_only = off')
				await client.query(`alter system set default_transaction_read_only = ${writes ? 'off' : 'on'}`)
				await client.query('select pg_reload_conf()')
			})
		}
	})
}

/** Over a connection of its own, whose loss is told by the query alone. */
export async function asked(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
	const client = new pg.Client(url)
	client.on('error', () => {})
	try {
		await client.connect()
		await work(client)
	} finally {
		await client.end()
	}
}

export async function redisServer({ tls = false } = {}): Promise<QueueServer & { ca?: string }> {
	const dir = mkdtempSync(join(tmpdir(), 'darkroom-redis-'))
	const port = await freePort()
	const url = `${tls ? 'rediss' : 'redis'}://localhost:${port}`
	const file = (name: string) => join(dir, name)
	const common = ['--bind', '127.0.0.1', '--save', '', '--dir', dir]
	if (tls) {
		const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
		const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
		execFileSync('openssl', [...request, ...names, '-keyout', file('key.pem'), '-out', file('ca.pem')], { stdio: 'ignore' })
	}
	const args = tls
		? [
				'--port',
				'0',
				'--tls-port',
				String(port),
				'--tls-cert-file',
				file('ca.pem'),
				'--tls-key-file',
				file('key.pem'),
				'--tls-auth-clients',
				'no'
			]
		: ['--port', String(port)]
	const told = async (work: (client: Redis) => Promise<unknown>) => {
		const client = new Redis(url)
		client.on('error', () => {})
		try {
			await work(client)
		} finally {
			client.disconnect()
		}
	}
	const built = server({
		dir,
		url,
		spawn: () => spawn('redis-server', [...common, ...args], { stdio: 'ignore' }),
		signal: 'SIGTERM',
		answer: () => reached(port),
		wipe: () => told((client) => client.flushall()),
		hangUp: () => told((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
		take: (writes) => told((client) => (writes ? client.replicaof('NO', 'ONE') : client.replicaof('127.0.0.1', 1)))
	})
	return tls ? { ...built, ca: file('ca.pem') } : built
}

/** A way to a server, which can forget all connections as firewalls do, and as hosts do that lose their power: no side hears of it. */
export interface Way {
	url: string
	forget(): void
	close(): void
}

export async function wayTo(server: string): Promise<Way> {
	const url = new URL(server)
	const target = Number(url.port)
	const clients = new Map<Socket, Socket>()
	const forgotten: Socket[] = []
	const listener = createServer((client) => {
		const onward = connect(target, '127.0.0.1')
		clients.set(client, onward)
		client.pipe(onward).pipe(client)
		for (const socket of [client, onward]) {
			socket.on('error', () => {})
			socket.once('close', () => {
				if (clients.delete(client)) {
					client.destroy()
					onward.destroy()
				}
			})
		}
	})
	url.hostname = '127.0.0.1'
	url.port = String(await freePort())
	await new Promise<void>((resolve) => listener.listen(Number(url.port), '127.0.0.1', resolve))
	return {
		url: url.href,
		forget() {
			for (const [client, onward] of clients) {
				clients.delete(client)
				onward.unpipe(client)
				onward.destroy()
				client.unpipe(onward)
				client.resume()
				forgotten.push(client)
			}
		},
		close() {
			listener.close()
			for (const client of [...clients.keys(), ...forgotten]) {
				client.destroy()
			}
		}
	}
}

interface ServerSpec extends Pick<QueueServer, 'url' | 'wipe' | 'hangUp' | 'take'> {
	dir: string
	signal: NodeJS.Signals
	spawn(): ChildProcess
	/** Rejects where it listens, and takes nothing yet. */
	answer(): Promise<void>
}

function server({ dir, signal, spawn: run, answer, ...served }: ServerSpec): QueueServer {
	let child: ChildProcess | undefined
	const stop = async () => {
		if (child?.exitCode === null) {
			const exited = new Promise((resolve) => child?.once('exit', resolve))
			child.kill(signal)
			await exited
		}
	}
	return {
		...served,
		async start() {
			child = run()
			await soon(answer)
		},
		stop,
		async remove() {
			await stop()
			rmSync(dir, { recursive: true, force: true })
		}
	}
}

async function soon(work: () => Promise<void>): Promise<void> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await work()
		} catch (error) {
			if (attempt === 200) {
				throw error
			}
			await sleep(50)
		}
	}
}

const reached = (port: number) =>
	new Promise<void>((resolve, reject) => {
		const socket = connect(port, '127.0.0.1', () => resolve(void socket.destroy()))
		socket.once('error', reject)
	})
