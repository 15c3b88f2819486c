import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { build } from 'esbuild'
import { readCommandLine } from '../shared/command-line.ts'

const usage = `node infra/site.ts: bundles the pages of edge/site into dist/site.json, from which the Worker serves them.
Wrangler calls it before it bundles or deploys the Worker, which a catalog that the Worker could not read ends here, too.`

const source = join(import.meta.dirname, '../edge/site')
const dist = join(import.meta.dirname, '../dist')

/** Where a page is, if not at the name of its folder. */
const paths: Record<string, string> = { playground: '/' }
const types: Record<string, string> = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' }

/** A folder with `page.html` and `page.ts` (which imports its own style sheet) is a page; its parts are at /site/<folder>.js and /site/<folder>.css. */
export async function buildSite(): Promise<void> {
	const pages = readdirSync(source, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
	const { outputFiles } = await build({
		entryPoints: pages.map((page) => ({ in: join(source, page, 'page.ts'), out: page })),
		outdir: dist,
		bundle: true,
		minify: true,
		write: false,
		format: 'esm',
		target: 'es2022',
		tsconfigRaw: {}
	})
	const files: Record<string, { type: string; body: string }> = {}
	for (const page of pages) {
		const body = readFileSync(join(source, page, 'page.html'), 'utf8')
		files[paths[page] ?? `/${page}`] = { type: 'text/html; charset=utf-8', body }
	}
	for (const { path, text } of outputFiles) {
		files[`/site/${basename(path)}`] = { type: types[extname(path)] as string, body: text }
	}
	mkdirSync(dist, { recursive: true })
	const file = join(dist, 'site.json')
	// Whole from the first moment: others may build at once.
	writeFileSync(`${file}.${process.pid}`, JSON.stringify(files))
	renameSync(`${file}.${process.pid}`, file)
}

if (import.meta.main) {
	readCommandLine(usage, {})
	// People edit it, and a Worker that is deployed would say so to its callers alone.
	await import('../shared/catalog.ts').catch((error: Error) => {
		console.error(error.message)
		process.exit(1)
	})
	await buildSite()
}
