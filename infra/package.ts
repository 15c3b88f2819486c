/**
 * `npm run build`: the edge's bundle (build.ts), and dist/darkroom, a package of its own for other projects, with the typed client
 * (`darkroom/client`) and the command line (`npx darkroom`). Node.js runs no TypeScript from node_modules, and nobody who asks for pictures wants what draws them.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { readCommandLine } from '../shared/command-line.ts'
import { buildEdge } from './build.ts'

const root = join(import.meta.dirname, '..')
const outdir = join(root, 'dist/darkroom')

readCommandLine(
	'npm run build: makes dist/edge, which is what would be deployed, and dist/darkroom, a package for other projects',
	{}
)
await buildEdge().catch((error: Error) => {
	console.error(error.message)
	process.exit(1)
})
rmSync(outdir, { recursive: true, force: true })
await build({
	entryPoints: { client: join(root, 'shared/client.ts'), cli: join(root, 'infra/cli/main.ts') },
	outdir,
	bundle: true,
	format: 'esm',
	platform: 'node',
	target: 'node20',
	tsconfigRaw: {},
	logLevel: 'error'
})
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'infra/package.tsconfig.json')], {
	stdio: 'inherit'
})
const { version, description, license, engines, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const manifest = {
	name: 'darkroom',
	version,
	description,
	license,
	type: 'module',
	bin: { darkroom: 'cli.js' },
	exports: { './client': { types: './types/client.d.ts', default: './client.js' } },
	engines,
	// The types are those of the contract's schemas.
	dependencies: { zod: dependencies.zod }
}
writeFileSync(join(outdir, 'package.json'), JSON.stringify(manifest, null, '\t'))
copyFileSync(join(root, 'LICENSE'), join(outdir, 'LICENSE'))
