/**
 * `npm run fuzz:api`: schemathesis (PyPI; `SCHEMATHESIS` names its command) against the built edge: no 5xx, no answer that the OpenAPI document
 * does not declare. With no GPU node: what is asked for is only accepted.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { secrets, startBareEdge } from '../edge.ts'

const command = process.env.SCHEMATHESIS || 'schemathesis'
const checks = [
	'not_a_server_error',
	'status_code_conformance',
	'content_type_conformance',
	'response_headers_conformance',
	'response_schema_conformance'
]

// It writes its cache where it runs.
const cwd = mkdtempSync(join(tmpdir(), 'darkroom-fuzz-'))
const edge = await startBareEdge()
try {
	const key = await edge.key('fuzzed')
	process.exitCode =
		(await fuzz(key, ['--exclude-path-regex', '^/v1/admin'])) ||
		(await fuzz(secrets.ADMIN_TOKEN, ['--include-path-regex', '^/v1/admin']))
} finally {
	await edge.close()
	rmSync(cwd, { recursive: true })
}

async function fuzz(token: string, paths: string[]): Promise<number> {
	const args = ['run', `${edge.url}/openapi.json`, '-H', `Authorization: Bearer ${token}`, '--checks', checks.join(','), ...paths]
	// Streams of generations that nobody develops have no end.
	const others = [
		'--exclude-path-regex',
		'/events$',
		'--phases',
		'examples,coverage,fuzzing',
		'--max-examples',
		'200',
		'--continue-on-failure',
		'--suppress-health-check',
		'all'
	]
	const child = spawn(command, [...args, ...others, '--no-color', ...process.argv.slice(2)], { stdio: 'inherit', cwd })
	const [code] = await once(child, 'exit')
	return code ?? 1
}
