import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer as createProxy } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../infra/ports.ts'
import { isInstalled } from '../installed.ts'
import { descendants, isAlive } from '../processes.ts'
import { root } from '../root.ts'
import { type Stack, spawnDev, startStack } from '../stack.ts'

const request = { model: 'scenes', prompt: 'a large shiny red sphere', steps: 3 }
const wait = { prefer: 'wait=60' }
/** A machine may be busy with much else. */
const patience = { timeout: 60_000 }

describe('npm start', () => {
	let stack: Stack
	beforeAll(async () => {
		stack = await startStack()
	})
	afterAll(() => stack?.close())
	const healthy = () =>
		expect
			.poll(
				() =>
					stack.fetch('/health').then(
						(answer) => answer.status,
						() => 0
					),
				patience
			)
			.toBe(200)

	it.skipIf(!isInstalled('curl'))('prints a curl line that works when pasted', async () => {
		await stack.line(/^ {2}-d /)
		const first = stack.output.findIndex((line) => line.startsWith('curl '))
		const command = stack.output.slice(first, first + 3).join('\n')
		const { stdout } = spawnSync('sh', ['-c', command.replace('curl', 'curl -s')], { encoding: 'utf8' })
		expect(JSON.parse(stdout)).toMatchObject({ status: 'succeeded', images: [{ n: 0 }] })
	})

	it.each([
		['spam://127.0.0.1', /QUEUE_URL: expected postgres:\/\/, redis:\/\/ or rediss:\/\/, got spam:\/\/$/],
		['127.0.0.1', /QUEUE_URL: expected postgres:\/\/, redis:\/\/ or rediss:\/\/, got no URL$/],
		['redis://localhost:1', /the queue cannot be used \(QUEUE_URL\): .*ECONNREFUSED/],
		['postgres://localhost:1/postgres', /the queue cannot be used \(QUEUE_URL\): .*ECONNREFUSED/]
	])('says what is wrong with the queue %s', async (QUEUE_URL, message) => {
		const DATA_DIR = mkdtempSync(join(tmpdir(), 'darkroom-queue-'))
		const { child, output } = spawnDev({ PORT: String(await freePort()), DATA_DIR, QUEUE_URL })
		expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1)
		expect(output.at(-1)).toMatch(message)
		rmSync(DATA_DIR, { recursive: true })
	})

	it('refuses a second copy on the same data', async () => {
		const { child, output } = spawnDev({ PORT: String(await freePort()), DATA_DIR: stack.dataDir })
		const code = await new Promise((resolve) => child.once('close', resolve))
		expect(code).toBe(1)
		expect(output).toEqual([expect.stringMatching(/^darkroom: another Darkroom \(process \d+\) runs on /)])
	})

	it.each(['worker-gpu/main.ts', 'infra/edge.ts', 'bin/postgres'])('names a killed %s and starts it again', async (command) => {
		const name = { 'worker-gpu/main.ts': 'gpu-node', 'infra/edge.ts': 'edge', 'bin/postgres': 'queue' }[command]
		const { pid } = descendants(stack.process.pid!).find((child) => child.command.includes(command))!
		const before = stack.output.length
		process.kill(pid, 'SIGKILL')
		await expect.poll(() => stack.output.slice(before).join('\n'), patience).toMatch(`${name!.padEnd(8)} | ended with SIGKILL`)
		await expect.poll(() => descendants(stack.process.pid!).some((child) => child.command.includes(command)), patience).toBe(true)
		await healthy()
		const { id } = await stack.submit(request)
		expect(await stack.finished(id)).toMatchObject({ status: 'succeeded' })
	})

	it('starts the edge again whose runtime is killed while it is started again', { timeout: 120_000 }, async () => {
		const lost = stack.line(/runtime failed to restart/)
		const killing = setInterval(() => {
			for (const { pid } of descendants(stack.process.pid!).filter(({ command }) => command.includes('workerd serve'))) {
				try {
					process.kill(pid, 'SIGKILL')
				} catch {
					// It has ended by itself.
				}
			}
		}, 50)
		await lost
		clearInterval(killing)
		await stack.line(/edge .* ended with exit code 1; starting it again/)
		await healthy()
		expect(await stack.finished((await stack.submit(request)).id)).toMatchObject({ status: 'succeeded' })
	})

	it('stops every child within 5 s of Ctrl-C, and keeps the data for the next start', async () => {
		const { id } = await stack.submit(request, wait)
		// The runtime makes a file for each generation that was waited for.
		const viewers = () => readdirSync(join(stack.dataDir, 'edge/do/-Viewer')).filter((name) => /^\w{64}\.sqlite$/.test(name))
		expect(viewers()).not.toEqual([])
		const children = descendants(stack.process.pid!).map(({ pid }) => pid)
		expect(children.length).toBeGreaterThan(4)
		const exited = new Promise((resolve) => stack.process.once('exit', resolve))
		const began = Date.now()
		stack.process.kill('SIGINT')
		expect(await exited).toBe(0)
		expect(Date.now() - began).toBeLessThan(5_000)
		expect(children.filter(isAlive)).toEqual([])

		const { apiKey } = stack
		stack = await startStack({ dataDir: stack.dataDir })
		expect(viewers()).toEqual([])
		expect(stack.apiKey).toBe(apiKey)
		const kept = await stack.finished(id)
		expect(kept).toMatchObject({ id, status: 'succeeded' })
		expect((await fetch(kept.images[0]!.url)).status).toBe(200)
	})

	it('killed itself, leaves nothing behind that the next start does not end, and be it what it had started again', async () => {
		const { id } = await stack.submit({ ...request, steps: 60 })
		const queues = () => descendants(stack.process.pid!).filter(({ command }) => command.includes('bin/postgres -D'))
		const first = queues()[0]!.pid
		process.kill(first, 'SIGKILL')
		await expect.poll(() => queues().filter(({ pid }) => pid !== first).length, patience).toBe(1)
		const left = descendants(stack.process.pid!)
		const exited = new Promise((resolve) => stack.process.once('exit', resolve))
		stack.process.kill('SIGKILL')
		// As by a `killall -9 node`: the runtime, which is none, goes on.
		process.kill(left.find(({ command }) => command.includes('infra/edge.ts'))!.pid, 'SIGKILL')
		await exited
		stack = await startStack({ dataDir: stack.dataDir })
		await expect.poll(() => left.filter(({ pid }) => isAlive(pid)), patience).toEqual([])
		expect(await stack.finished(id)).toMatchObject({ status: 'succeeded' })
	})

	it('starts on what a full disk, a crash or another version has left, and keeps what was accepted', async () => {
		const { id } = await stack.submit({ ...request, steps: 60 })
		const { dataDir } = stack
		const exited = new Promise((resolve) => stack.process.once('exit', resolve))
		stack.process.kill('SIGINT')
		await exited
		writeFileSync(join(dataDir, 'dev.json'), '')
		writeFileSync(join(dataDir, 'lock.json'), '')
		rmSync(join(dataDir, 'postgres/global/pg_control'))
		stack = await startStack({ dataDir })
		expect(await stack.finished(id)).toMatchObject({ id, status: 'succeeded' })
	})
})

describe('npm start with something wrong', () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'darkroom-'))
	afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
	/** A failed test leaves nothing on the data that the next one starts with. */
	const ended = <C extends ChildProcess>(child: C): C => {
		onTestFinished(() => {
			const isOver = child.exitCode !== null || child.signalCode !== null
			for (const { pid } of isOver ? [] : descendants(child.pid!, { itself: true })) {
				process.kill(pid, 'SIGKILL')
			}
		})
		return child
	}
	const start = async (env: Record<string, string> = {}, cwd = root) => {
		const started = spawnDev({ PORT: String(await freePort()), DATA_DIR: dataDir, ...env }, root, cwd)
		ended(started.child)
		return started
	}
	const lines = async (env: Record<string, string>) => {
		const { child, output } = await start(env)
		const code = await new Promise((resolve) => child.once('close', resolve))
		return { code, output }
	}

	async function taken() {
		const server = createServer()
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
		return { server, port: (server.address() as { port: number }).port }
	}

	it('names a taken port', async () => {
		const { server, port } = await taken()
		const { code, output } = await lines({ PORT: String(port) })
		server.close()
		expect(code).toBe(1)
		expect(output).toEqual([
			`darkroom: port ${port} is taken; stop what listens there, or choose another: PORT=${port + 1} npm start`
		])
	})

	it('names a limit on open files with which it would not work', () => {
		const env = { ...process.env, DATA_DIR: dataDir }
		const command = ['-c', 'ulimit -n 255; exec "$0" infra/dev.ts', process.execPath]
		const { status, stderr } = spawnSync('sh', command, { cwd: root, env, encoding: 'utf8', timeout: 60_000 })
		expect(stderr).toBe('darkroom: expected that a process may have 256 files open, got 255 (ulimit -n)\n')
		expect(status).toBe(1)
	})

	it('is not stopped by one before it that had its own number, as in a container that is started again', async () => {
		const { server, port } = await taken()
		const script = `printf '{"pid":%s,"children":[]}' $$ > "$DATA_DIR/lock.json"; exec "$0" infra/dev.ts`
		const env = { ...process.env, DATA_DIR: dataDir, PORT: String(port) }
		const { stderr } = spawnSync('sh', ['-c', script, process.execPath], { cwd: root, env, encoding: 'utf8' })
		server.close()
		expect(stderr).toMatch(/^darkroom: port \d+ is taken/)
	})

	it('ends with the npm that started it', async () => {
		const env = { ...process.env, DATA_DIR: dataDir, PORT: String(await freePort()) }
		const npm = ended(spawn('npm', ['start'], { cwd: root, env, stdio: 'ignore' }))
		const below = () => descendants(npm.pid!)
		await expect.poll(() => below().some(({ command }) => command.includes('bin/postgres -D')), patience).toBe(true)
		const left = below().map(({ pid }) => pid)
		npm.kill()
		await expect.poll(() => left.filter(isAlive), patience).toEqual([])
	})

	it('goes on, and stops, where nobody reads any more what it prints, in any folder, and whatever the environment says of other databases', async () => {
		const { child, line } = await start({ PGSSLMODE: 'require', PGHOST: '192.0.2.1', PGUSER: 'someone' }, tmpdir())
		await line(/ready in/)
		child.stdout!.destroy()
		child.stderr!.destroy()
		const nodes = () => descendants(child.pid!).filter(({ command }) => command.includes('worker-gpu/main.ts'))
		const killed = nodes()[0]!.pid
		process.kill(killed, 'SIGKILL')
		await expect.poll(() => nodes().some(({ pid }) => pid !== killed), patience).toBe(true)
		const left = descendants(child.pid!).map(({ pid }) => pid)
		const exited = new Promise((resolve) => child.once('exit', resolve))
		child.kill('SIGINT')
		expect(await exited).toBe(0)
		expect(left.filter(isAlive)).toEqual([])
	})

	it('asks no proxy of the environment for what is on this machine', async () => {
		const asked: (string | undefined)[] = []
		const proxy = createProxy((request, answer) => {
			asked.push(request.url)
			answer.writeHead(502).end()
		})
		proxy.on('connect', ({ url }, socket) => {
			asked.push(url)
			socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
		})
		await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
		const address = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`
		const env = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: address, HTTPS_PROXY: address }
		const { child, line } = await start(env)
		await line(/ready in/)
		const command = (...args: string[]) =>
			promisify(execFile)(process.execPath, args, { cwd: root, env: { ...process.env, ...env, DATA_DIR: dataDir } })
		const file = join(dataDir, 'a.png')
		const drawn = await command('infra/cli/main.ts', 'generate', 'a red sphere', '--steps', '3', '-o', file)
		expect(drawn.stdout).toBe(`${file}\n`)
		expect((await command('infra/admin.ts', 'show', 'demo')).stdout).toMatch(/balance/)
		expect(asked).toEqual([])
		const exited = new Promise((resolve) => child.once('exit', resolve))
		child.kill('SIGINT')
		await exited
		proxy.close()
	})

	it('falls over what nobody thought of, says so, and leaves nothing behind', async () => {
		const fault = `process.argv[1].endsWith('infra/dev.ts') && process.on('SIGUSR2', () => { throw new Error('nobody thought of it') })`
		const { child, output, line } = await start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}` })
		await line(/queue .* ready/)
		const left = descendants(child.pid!).map(({ pid }) => pid)
		const closed = new Promise((resolve) => child.once('close', resolve))
		child.kill('SIGUSR2')
		expect(await closed).toBe(1)
		// Their output is closed a moment before they have ended.
		await expect.poll(() => left.filter(isAlive), patience).toEqual([])
		expect(output.join('\n')).toContain('Error: nobody thought of it')
	})

	it('killed while the edge starts, leaves no edge behind', async () => {
		const { child } = await start()
		const edge = () => descendants(child.pid!).filter(({ command }) => /infra\/edge\.ts|workerd serve/.test(command))
		await expect.poll(() => edge().length, patience).toBe(2)
		const left = edge().map(({ pid }) => pid)
		child.kill('SIGKILL')
		await expect.poll(() => left.filter(isAlive), patience).toEqual([])
	})

	it('names a port that is none', async () => {
		expect(await lines({ PORT: 'http' })).toEqual({
			code: 1,
			output: ['darkroom: PORT: expected a number from 1 to 65535, got http']
		})
	})

	// Linux's /proc takes no folders, and says that there is no such place.
	it.each(['file', 'file/data', 'loop', ...(process.platform === 'linux' ? ['/proc/data/darkroom'] : [])])(
		'names a folder for data that is none: %s',
		async (name) => {
			const place = resolve(dataDir, name)
			writeFileSync(join(dataDir, 'file'), '')
			rmSync(join(dataDir, 'loop'), { force: true })
			symlinkSync('loop', join(dataDir, 'loop'))
			const { code, output } = await lines({ DATA_DIR: place })
			expect(code).toBe(1)
			expect(output).toEqual([
				expect.stringContaining(`darkroom: DATA_DIR: expected ${place} to be a folder that can be written to, got `)
			])
		}
	)

	it.each(['{"DARKROOM_SECRET"', '{"DARKROOM_SECRET":1}', 'null'])('names secrets that are damaged: %s', async (damaged) => {
		const file = join(dataDir, 'secrets.json')
		writeFileSync(file, damaged)
		const { code, output } = await lines({})
		rmSync(file)
		expect(code).toBe(1)
		expect(output).toContainEqual(expect.stringContaining(`${file}: expected the secrets of the last start, got `))
	})

	it('names a missing model', async () => {
		const models = join(dataDir, 'models')
		cpSync(join(root, 'worker-gpu/models'), models, { recursive: true })
		rmSync(join(models, 'scenes/unet/model.onnx'))
		const { code, output } = await lines({ MODELS_DIR: models })
		expect(code).toBe(1)
		expect(output.filter((line) => line.includes('gpu-node'))).toEqual([
			expect.stringMatching(/gpu-node \| .*scenes.*unet\/model\.onnx/),
			expect.stringContaining('gpu-node cannot run as configured')
		])
	})
})
