/**
 * `npm run fuzz:api`: the OpenAPI document against Redocly's recommended rules, and the built edge against the document, by schemathesis (PyPI;
 * `SCHEMATHESIS` names its command): no 5xx, and no answer that it does not declare. With no GPU node: what is asked for is only accepted.
 * Both tools are fetched by whoever asks for this, and are no dependencies.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCommandLine } from '../../shared/command-line.ts'
import { secrets, startBareEdge } from '../edge.ts'

const schemathesis = process.env.SCHEMATHESIS || 'schemathesis'
const redocly = '@redocly/cli@2.77.0'
const checks = [
	'not_a_server_error',
	'status_code_conformance',
	'content_type_conformance',
	'response_headers_conformance',
	'response_schema_conformance'
]

const usage = `npm run fuzz:api [-- OPTION … of schemathesis]: tries the edge against its OpenAPI document

  SCHEMATHESIS=schemathesis   the command of schemathesis, from PyPI`
readCommandLine(usage, { strict: false })
// They write where they run.
const cwd = mkdtempSync(join(tmpdir(), 'darkroom-fuzz-'))
const edge = await startBareEdge()
// What nobody develops is held for as long as it is asked to: longer than the tool waits.
configure('"header.prefer" = "wait=1"')
try {
	const key = await edge.key('fuzzed')
	process.exitCode =
		(await lint()) ||
		(await fuzz(key, ['--exclude-path-regex', '^/v1/admin'])) ||
		(await fuzz(secrets.ADMIN_TOKEN, ['--include-path-regex', '^/v1/admin'])) ||
		(await fuzzEvents(key))
} finally {
	await edge.close()
	rmSync(cwd, { recursive: true })
}

async function lint(): Promise<number> {
	writeFileSync(join(cwd, 'openapi.json'), await (await fetch(`${edge.url}/openapi.json`)).text())
	return run('npx', ['--yes', redocly, 'lint', 'openapi.json', '--format', 'stylish'])
}

function fuzz(token: string, more: string[]): Promise<number> {
	return run(schemathesis, [
		...['run', `${edge.url}/openapi.json`, '-H', `Authorization: Bearer ${token}`, '--checks', checks.join(',')],
		...['--phases', 'examples,coverage,fuzzing', '--max-examples', '200', '--continue-on-failure', '--no-color'],
		...['--suppress-health-check', 'all', ...more, ...process.argv.slice(2)]
	])
}

/** The events of a generation that there is, and that has ended: those of one that nobody develops have no end. Others were asked for above. */
async function fuzzEvents(key: string): Promise<number> {
	const say = async (path: string, body: object) => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
		const answer = await fetch(`${edge.url}/v1/generations${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
		return (await answer.json()) as { id: string }
	}
	const { id } = await say('', { model: 'scenes', prompt: 'a red sphere' })
	await say(`/${id}/cancel`, {})
	configure(`"path.id" = "${id}"`)
	return fuzz(key, ['--include-path-regex', '^/v1/generations/.*/events$'])
}

function configure(parameter: string): void {
	writeFileSync(join(cwd, 'schemathesis.toml'), `[parameters]\n${parameter}\n`)
}

async function run(command: string, args: string[]): Promise<number> {
	const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
	const child = spawn(command, args, { stdio: 'inherit', cwd, env })
	try {
		const [code] = await once(child, 'exit')
		return code ?? 1
	} catch (error) {
		console.error(`expected ${command}, got ${(error as Error).message}`)
		return 1
	}
}
