import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../infra/ports.ts'
import type { Generation } from '../shared/contract/generation.ts'
import type { GenerationOrder } from '../shared/contract/order.ts'
import { layCluster } from './cluster.ts'
import { root } from './root.ts'

/** Darkroom as `npm start` runs it, on a port and a data directory of its own. */
export interface Stack {
	url: string
	apiKey: string
	adminToken: string
	dataDir: string
	process: ChildProcess
	/** Every line it has printed. */
	output: string[]
	/** Resolves with the first line, printed or yet to come, that matches. */
	line(pattern: RegExp): Promise<string>
	/** A call to the API with the demo key. */
	fetch(path: string, init?: RequestInit): Promise<Response>
	/** Posts a generation and expects it to be accepted. */
	submit(request: GenerationOrder, headers?: Record<string, string>): Promise<Generation>
	/** Waits until the generation has ended. */
	finished(id: string): Promise<Generation>
	close(): Promise<void>
}

export interface StackOptions {
	env?: Record<string, string>
	dataDir?: string
	/** Where Darkroom's own files are. */
	tree?: string
}

/** Milliseconds after which a start is given up, to tell what it has printed, before whoever waits for it gives up and tells nothing. */
const longestStart = 80_000

export async function startStack({
	env = {},
	dataDir = mkdtempSync(join(tmpdir(), 'darkroom-')),
	tree = root
}: StackOptions = {}): Promise<Stack> {
	if (!env.QUEUE_URL && readdirSync(dataDir).length === 0) {
		layCluster(dataDir)
	}
	const port = await freePort()
	const { child, output, line } = spawnDev({ PORT: String(port), DATA_DIR: dataDir, ...env }, tree)
	const slow = setTimeout(() => child.kill('SIGINT'), longestStart)
	await line(/ready in .* at http/)
	clearTimeout(slow)
	const { url, apiKey, adminToken } = JSON.parse(readFileSync(join(dataDir, 'dev.json'), 'utf8'))

	const call = (path: string, init: RequestInit = {}) =>
		fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${apiKey}`, ...init.headers } })
	const json = async <T>(answer: Response): Promise<T> => {
		const text = await answer.text()
		if (!answer.ok) {
			throw new Error(`expected a 2xx, got ${answer.status}: ${text}`)
		}
		return JSON.parse(text)
	}
	return {
		url,
		apiKey,
		adminToken,
		dataDir,
		process: child,
		output,
		line,
		fetch: call,
		submit: async (request, headers = {}) =>
			json(
				await call('/v1/generations', {
					method: 'POST',
					headers: { 'content-type': 'application/json', ...headers },
					body: JSON.stringify(request)
				})
			),
		async finished(id) {
			for (;;) {
				const generation = await json<Generation>(await call(`/v1/generations/${id}`, { headers: { prefer: 'wait=20' } }))
				if (generation.completed_at) {
					return generation
				}
			}
		},
		async close() {
			if (child.exitCode === null && child.signalCode === null) {
				const exited = new Promise((resolve) => child.once('exit', resolve))
				child.kill('SIGINT')
				await exited
			}
			rmSync(dataDir, { recursive: true, force: true })
		}
	}
}

/** `npm start`'s own process, without waiting for anything. */
export function spawnDev(
	env: Record<string, string>,
	tree = root,
	cwd = tree
): Pick<Stack, 'output' | 'line'> & { child: ChildProcess } {
	const child = spawn(process.execPath, [join(tree, 'infra/dev.ts')], {
		cwd,
		env: { ...process.env, NO_COLOR: '1', ...env },
		stdio: ['ignore', 'pipe', 'pipe']
	})
	const output: string[] = []
	const waiting = new Set<() => void>()
	for (const stream of [child.stdout, child.stderr]) {
		createInterface({ input: stream }).on('line', (line) => {
			output.push(line)
			for (const look of waiting) {
				look()
			}
		})
	}
	const line = (pattern: RegExp) =>
		new Promise<string>((resolve, reject) => {
			const look = () => {
				const found = output.find((line) => pattern.test(line))
				if (found !== undefined) {
					waiting.delete(look)
					resolve(found)
				}
			}
			waiting.add(look)
			child.once('close', () => reject(new Error(`it ended before it printed ${pattern}:\n${output.join('\n')}`)))
			look()
		})
	return { child, output, line }
}
