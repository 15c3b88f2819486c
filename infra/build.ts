/**
 * `node infra/build.ts`: bundles the edge as it would be deployed (`wrangler deploy --dry-run`) into dist/edge, with its
 * bindings beside it as Miniflare wants them, so that what runs here is what ships.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { unstable_getMiniflareWorkerOptions as workerOptions } from 'wrangler'

const root = join(import.meta.dirname, '..')
const outdir = join(root, 'dist/edge')
/** Workers on the free plan are limited to this, gzipped. */
const maxBytes = 3 * 1024 * 1024

try {
	mkdirSync(outdir, { recursive: true })
	accessSync(outdir, constants.W_OK)
} catch (error) {
	console.error(`expected that ${outdir} can be written to, got ${(error as Error).message}`)
	process.exit(1)
}

const wrangler = join(root, 'node_modules/.bin/wrangler')
await promisify(execFile)(wrangler, ['deploy', '--dry-run', '--outdir', outdir], {
	cwd: root,
	// Its settings and logs: a container's user may have no home.
	env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', XDG_CONFIG_HOME: join(root, 'dist') }
}).catch((error: { stdout: string; stderr: string }) => {
	console.error(`${error.stdout}${error.stderr}`)
	process.exit(1)
})

const { compatibilityDate, compatibilityFlags, bindings, durableObjects, r2Buckets, ratelimits } = workerOptions(
	join(root, 'wrangler.toml')
).workerOptions
writeFileSync(
	join(outdir, 'options.json'),
	JSON.stringify({ compatibilityDate, compatibilityFlags, bindings, durableObjects, r2Buckets, ratelimits })
)

const bytes = gzipSync(readFileSync(join(outdir, 'worker.js'))).length
if (bytes > maxBytes) {
	console.error(`edge bundle: expected at most ${maxBytes} bytes gzipped, got ${bytes}`)
	process.exit(1)
}
console.log(`edge bundle: ${(bytes / 1024).toFixed(0)} KiB gzipped`)
