/**
 * `npm run clients`: every call with every client against the whole of Darkroom over TLS; writes the table of edge/compat/README.md. `PYTHON` names an
 * interpreter that has the packages of PyPI.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { progressBar } from '../../infra/progress.ts'
import { readCommandLine } from '../../shared/command-line.ts'
import type { Limits } from '../../shared/contract/account.ts'
import { root } from '../root.ts'
import { aiSdk } from './ai-sdk.ts'
import { type CallName, type Client, callNames, long } from './client.ts'
import { fal } from './fal.ts'
import { openai } from './openai.ts'
import { replicate } from './replicate.ts'
import { type ClientStack, startClientStack } from './stack.ts'

/** So that one order more than `occupy` makes is one too many. */
const narrow: Partial<Limits> = { pictures_in_flight: long.count }

readCommandLine(
	`npm run clients: tries every call of every official client, and writes the table of edge/compat/README.md

  PYTHON=python3   has openai, replicate, fal-client and litellm from PyPI`,
	{}
)
const execute = promisify(execFile)
const interpreter = process.env.PYTHON || 'python3'
const packages = ['openai', 'replicate', 'fal-client', 'litellm'] as const
try {
	const look = 'import importlib.metadata, sys; [importlib.metadata.version(name) for name in sys.argv[1:]]'
	await execute(interpreter, ['-c', look, ...packages])
} catch (error) {
	const reason = String((error as { stderr?: string }).stderr || error).trim()
	console.error(
		`${interpreter}: ${reason.split('\n').at(-1)}. Expected ${packages.join(', ')} of PyPI: ` +
			`python3 -m venv DIR && DIR/bin/pip install ${packages.join(' ')} && PYTHON=DIR/bin/python npm run clients`
	)
	process.exit(1)
}

const stack = await startClientStack()
try {
	const clients = [
		openai,
		await pythonClient('openai'),
		replicate,
		await pythonClient('replicate'),
		fal,
		await pythonClient('fal-client'),
		aiSdk,
		await pythonClient('litellm')
	]
	const tick = progressBar('calls', clients.length * callNames.length)
	const columns: string[][] = []
	for (const client of clients) {
		columns.push(await tryAll(client, tick))
	}
	const rows = callNames.map((call, i) => [call, ...columns.map((column) => column[i]!)])
	const lines = [['', ...clients.map(({ name }) => name)], Array(clients.length + 1).fill('---'), ...rows].map(
		(cells) => `| ${cells.join(' | ')} |`
	)
	const file = join(root, 'edge/compat/README.md')
	const [before, after] = ['<!-- clients -->', '<!-- /clients -->']
	const page = readFileSync(file, 'utf8')
	const [start, end] = [page.indexOf(before) + before.length, page.indexOf(after)]
	writeFileSync(file, `${page.slice(0, start)}\n${lines.join('\n')}\n${page.slice(end)}`)
} finally {
	await stack.close()
}

async function tryAll({ name, calls }: Client, tick: () => void): Promise<string[]> {
	const column: string[] = []
	for (const call of callNames) {
		const run = calls[call]
		const outcome = await run?.(stack).then(
			() => 'yes',
			(error) => {
				console.error(`${name}: ${call}: ${error}`)
				process.exitCode = 1
				return 'NO'
			}
		)
		column.push(outcome ?? '')
		tick()
	}
	return column
}

async function pythonClient(name: (typeof packages)[number]): Promise<Client> {
	const python =
		(...args: string[]) =>
		(env: Record<string, string>) =>
			execute(interpreter, [join(import.meta.dirname, 'python.py'), name, ...args], {
				env: { ...process.env, DARKROOM_URL: stack.url, SSL_CERT_FILE: stack.ca, ...env }
			})
	const { stdout } = await python()({ DARKROOM_API_KEY: await stack.key() })
	const run =
		(call: string) =>
		async ({ key }: ClientStack) => {
			await python(call)({ DARKROOM_API_KEY: await key(call === 'too many requests' ? narrow : {}) })
		}
	const calls = Object.fromEntries(
		stdout
			.trim()
			.split('\n')
			.map((call) => [call as CallName, run(call)])
	)
	return { name: `${name} (PyPI)`, calls }
}
