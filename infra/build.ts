import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
	accessSync,
	constants,
	existsSync,
	globSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync
} from 'node:fs'
import { delimiter, dirname, extname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { readCommandLine } from '../shared/command-line.ts'

const usage = `node infra/build.ts: bundles the edge as it would be deployed (wrangler deploy --dry-run) into dist/edge, with its
bindings beside it as Miniflare wants them, so that what runs here is what ships.`

const root = join(import.meta.dirname, '..')
const outdir = join(root, 'dist/edge')
/** Where it is made: several may build at once, and others read the last one meanwhile. */
const own = `${outdir}.${process.pid}`
const stamp = join(outdir, 'made-of.txt')
/** Workers on the free plan are limited to this, gzipped. */
const maxBytes = 3 * 1024 * 1024

/** Makes the bundle, where what it is made of has changed since the last time. Throws what is wrong with it. */
export async function buildEdge(): Promise<void> {
	const sources = hashOfSources()
	if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) {
		return
	}
	try {
		mkdirSync(outdir, { recursive: true })
		accessSync(outdir, constants.W_OK)
	} catch (error) {
		throw new Error(`expected that ${outdir} can be written to, got ${(error as Error).message}`)
	}
	sweep()
	console.log('building the edge, which takes some seconds; later starts do so only where its sources have changed')
	try {
		await bundle()
		rmSync(stamp, { force: true })
		for (const file of readdirSync(own)) {
			renameSync(join(own, file), join(outdir, file))
		}
	} finally {
		rmSync(own, { recursive: true, force: true })
	}
	writeFileSync(stamp, sources)
}

/** What builds have left that were killed. */
function sweep(): void {
	for (const place of globSync('dist/{edge,site.json}.+([0-9])', { cwd: root })) {
		const maker = Number(extname(place).slice(1))
		// In a container that is started again, processes have the numbers that they had before.
		if (maker === process.pid || !isAlive(maker)) {
			rmSync(join(root, place), { recursive: true, force: true })
		}
	}
}

function isAlive(pid: number): boolean {
	try {
		return process.kill(pid, 0)
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === 'EPERM' // Another user's.
	}
}

function hashOfSources(): string {
	const hash = createHash('sha256')
	const files = ['{edge,shared}/**/*.*', 'infra/{build,site}.ts', 'wrangler.toml', 'package-lock.json']
	for (const file of globSync(files, { cwd: root }).sort()) {
		hash.update(`${file}\n`).update(readFileSync(join(root, file)))
	}
	return hash.digest('hex')
}

async function bundle(): Promise<void> {
	const wrangler = join(root, 'node_modules/.bin/wrangler')
	await promisify(execFile)(wrangler, ['deploy', '--dry-run', '--outdir', own], {
		cwd: root,
		// This Node.js, where it was called by its path and PATH has an older one. Its settings and logs: a container's user may have no home.
		env: {
			...process.env,
			PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
			WRANGLER_SEND_METRICS: 'false',
			WRANGLER_HIDE_BANNER: 'true', // For which it would ask npm's registry for its latest version.
			CI: 'true',
			XDG_CONFIG_HOME: join(root, 'dist')
		}
	}).catch((error: { stdout: string; stderr: string }) => {
		throw new Error(`${error.stdout}${error.stderr}`)
	})
	const { unstable_getMiniflareWorkerOptions: workerOptions } = await import('wrangler')
	const { compatibilityDate, compatibilityFlags, bindings, durableObjects, r2Buckets, ratelimits } = workerOptions(
		join(root, 'wrangler.toml')
	).workerOptions
	writeFileSync(
		join(own, 'options.json'),
		JSON.stringify({ compatibilityDate, compatibilityFlags, bindings, durableObjects, r2Buckets, ratelimits })
	)
	const bytes = gzipSync(readFileSync(join(own, 'worker.js'))).length
	if (bytes > maxBytes) {
		throw new Error(`edge bundle: expected at most ${maxBytes} bytes gzipped, got ${bytes}`)
	}
	console.log(`edge bundle: ${(bytes / 1024).toFixed(0)} KiB gzipped`)
}

if (import.meta.main) {
	readCommandLine(usage, {})
	await buildEdge().catch((error: Error) => {
		console.error(error.message)
		process.exit(1)
	})
}
