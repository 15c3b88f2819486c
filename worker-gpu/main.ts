import { readCommandLine } from '../shared/command-line.ts'
import { oneLine } from './one-line.ts'

/** EX_CONFIG of sysexits.h: starting again would end the same way. */
const CONFIG_ERROR = 78
/** The last one's only file that is read before there is a node is the catalog. */
const configErrors = new Set([
	'EnvironmentError',
	'ModelError',
	'CudaUnavailable',
	'CredentialsUnusable',
	'CatalogError',
	'SyntaxError'
])

try {
	// What it is made of reads the catalog, which people edit.
	const { usage } = await import('./environment.ts')
	readCommandLine(usage, {})
	const { run } = await import('./node.ts')
	await run()
} catch (error) {
	const { name, message } = error as Error
	console.error(oneLine(message))
	process.exit(configErrors.has(name) ? CONFIG_ERROR : 1)
}
