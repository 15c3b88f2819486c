import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { startArchivedEdge } from '../archived.ts'
import { root } from '../root.ts'
import { type Stack, startStack } from '../stack.ts'

let stack: Stack
const dir = mkdtempSync(join(tmpdir(), 'darkroom-cli-'))
beforeAll(async () => {
	stack = await startStack()
})
afterAll(async () => {
	await stack?.close()
	rmSync(dir, { recursive: true })
})

const cli = join(root, 'infra/cli/main.ts')
const env = (more = {}) => ({ ...process.env, DARKROOM_URL: stack.url, DARKROOM_API_KEY: stack.apiKey, ...more })
const run = promisify(execFile)
const darkroom = (...args: string[]) => run(process.execPath, [cli, ...args], { env: env({ KITTY_WINDOW_ID: '1' }) })
/** The same with a terminal before it, and what appears there. */
async function onTerminal(more: object, ...args: string[]): Promise<string> {
	const command = [process.execPath, cli, ...args].map((word) => `'${word}'`).join(' ')
	const without = { KITTY_WINDOW_ID: '', TMUX: '', TERM: 'xterm', TERM_PROGRAM: '', LC_TERMINAL: '' }
	const options = { env: env({ ...without, ...more }), encoding: 'latin1', maxBuffer: 2 ** 26 } as const
	return (await run('script', ['-qec', command, '/dev/null'], options)).stdout
}
const isPng = (file: string) => readFileSync(file).subarray(1, 4).toString() === 'PNG'

it('draws a picture into a file', async () => {
	const file = join(dir, 'one.png')
	const { stdout } = await darkroom('generate', 'a red sphere', '-o', file, '--steps', '4')
	expect(stdout).toBe(`${file}\n`)
	expect(isPng(file)).toBe(true)
})

it('draws several, and tells the whole generation as JSON, and what was left out beside', async () => {
	const args = ['--count', '2', '--seed', '7', '--size', '96x128', '--steps', '4', '--json']
	const { stdout, stderr } = await darkroom('generate', 'a blue cube and '.repeat(60), '-o', join(dir, 'many.png'), ...args)
	expect(stderr).toMatch(/^The prompt is longer than what the model reads/)
	expect(JSON.parse(stdout)).toMatchObject({ status: 'succeeded', request: { width: 96, height: 128, seed: 7, count: 2 } })
	expect([1, 2].map((n) => isPng(join(dir, `many-${n}.png`)))).toEqual([true, true])
})

it('lists models and usage', async () => {
	expect((await darkroom('models')).stdout).toMatch(/^scenes\t/)
	const usage = JSON.parse((await darkroom('usage', '--json')).stdout)
	const { generations } = (await (await stack.fetch('/v1/generations')).json()) as { generations: Generation[] }
	const pictures = generations.flatMap(({ images }) => images).length
	expect(pictures).toBeGreaterThan(0)
	expect(usage).toMatchObject([{ model: 'scenes', pictures }])
})

it('lists the archives, with where each is', async () => {
	expect(await darkroom('archives')).toMatchObject({ stdout: '', stderr: 'nothing\n' })
	const { edge, key } = await startArchivedEdge('old')
	try {
		const at = { env: env({ DARKROOM_URL: edge.url, DARKROOM_API_KEY: key }) }
		const { stdout } = await run(process.execPath, [cli, 'archives'], at)
		const [from, to, ...cells] = stdout.trimEnd().split('\t')
		expect([from, to, cells.slice(0, 3)]).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d$/), from, ['1', '0', '0']])
		const [archive] = JSON.parse((await run(process.execPath, [cli, 'archives', '--json'], at)).stdout)
		expect(new URL(cells[3]!).pathname).toBe(new URL(archive.url).pathname)
		const file = gunzipSync(await (await fetch(archive.url)).arrayBuffer()).toString()
		expect(JSON.parse(file)).toMatchObject({ id: archive.first, status: 'canceled' })
	} finally {
		await edge.close()
	}
})

it('shows pictures in a terminal that can, in its own words, and in no other', async () => {
	const draw = (more: object, size = '96x96') =>
		onTerminal(
			more,
			'generate',
			'a red sphere',
			'-o',
			join(dir, 'shown.png'),
			'--steps',
			size === '96x96' ? '4' : '100',
			'--size',
			size
		)
	const kitty = await draw({ KITTY_WINDOW_ID: '1' })
	const pieces = kitty.split('\x1b_G').slice(1)
	const shown = Buffer.from(
		pieces.map((piece) => piece.slice(piece.indexOf(';') + 1, piece.indexOf('\x1b\\'))).join(''),
		'base64'
	)
	expect(shown).toEqual(readFileSync(join(dir, 'shown.png')))

	// Also as it develops.
	const iterm = await draw({ TERM_PROGRAM: 'iTerm.app' }, '256x256')
	const pictures = iterm.split('\x1b]1337;File=').slice(1)
	const kinds = await Promise.all(
		pictures.map(async (picture) => {
			const data = picture.slice(picture.indexOf(':') + 1, picture.indexOf('\x07'))
			return (await sharp(Buffer.from(data, 'base64')).metadata()).format
		})
	)
	expect(kinds).toContain('webp')
	expect(kinds.at(-1)).toBe('png')

	for (const more of [{}, { KITTY_WINDOW_ID: '1', TMUX: '/tmp/tmux' }]) {
		const plain = await draw(more)
		expect(plain).toContain('processing')
		expect(['\x1b_G', '\x1b]'].some((start) => plain.includes(start))).toBe(false)
	}
})

it('starts from a file, paints over a part of it, and saves in the format that the name asks for', async () => {
	const [image, mask] = [join(dir, 'image.png'), join(dir, 'mask.png')]
	const square = (side: number, background: string) => sharp({ create: { width: side, height: side, channels: 3, background } })
	await square(128, 'grey').png().toFile(image)
	const hole = await square(64, 'white').png().toBuffer()
	await square(128, 'black')
		.composite([{ input: hole }])
		.png()
		.toFile(mask)
	const from = (...more: string[]) =>
		darkroom('generate', 'a red sphere', '--image', image, '--steps', '4', '--json', '-o', join(dir, 'new.webp'), ...more)
	const varied = JSON.parse((await from('--strength', '0.5', '--negative', 'blue', '--sampler', 'euler')).stdout)
	expect(varied.request).toMatchObject({ task: 'image-to-image', strength: 0.5, negative_prompt: 'blue', sampler: 'euler' })
	expect(JSON.parse((await from('--mask', mask)).stdout).request).toMatchObject({ task: 'inpainting', output_format: 'webp' })
	expect((await sharp(join(dir, 'new.webp')).metadata()).format).toBe('webp')
})

it('cancels what it waits for where its terminal is closed, or with Ctrl-C, and tells where it may not', async () => {
	const newest = async () => (await (await stack.fetch('/v1/generations?limit=1')).json()).generations[0]
	const made = await stack.fetch('/v1/keys', {
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ name: 'shared', scopes: ['generate', 'read'] })
	})
	const { id, key } = await made.json()
	const args = [cli, 'generate', 'a red sphere', '-o', join(dir, 'never.png'), '--steps', '100', '--count', '8']
	for (const [more, signal, end] of [
		[{}, 'SIGHUP', { code: 1, stderr: 'canceled\n' }],
		// The end of its events may tell so just before, and the signal come while it leaves.
		[{ DARKROOM_API_KEY: key }, 'SIGINT', { stderr: 'The API key is not valid any more.\n' }]
	] as const) {
		const before = await newest()
		const drawing = run(process.execPath, args, { env: env(more) })
		const ended = drawing.catch(({ code, stderr }) => ({ code, stderr }))
		await expect
			.poll(async () => {
				const { id, status } = await newest()
				return id !== before.id && status
			})
			.toBe('processing')
		if ('DARKROOM_API_KEY' in more) {
			await stack.fetch(`/v1/keys/${id}`, { method: 'DELETE' })
		}
		drawing.child.kill(signal)
		expect(await ended).toMatchObject(end)
		await stack.fetch(`/v1/generations/${(await newest()).id}/cancel`, { method: 'POST' })
	}
})

it('orders once where the answer is lost on its way, and waits for the picture while the edge is gone or answers that it is', async () => {
	let [ordered, asked] = [0, 0]
	const inPlace = [undefined, '<html>Please sign in.</html>', '{"id":']
	const between = createServer(async (request, response) => {
		const { url = '', method = 'GET', headers } = request
		if (url.endsWith('/events') && ++asked < 4) {
			asked === 2 ? response.destroy() : response.writeHead(503).end()
			return
		}
		const names = ['authorization', 'content-type', 'idempotency-key']
		const handed = names.flatMap((name): [string, string][] => (headers[name] ? [[name, String(headers[name])]] : []))
		const body = method === 'GET' ? null : await text(request)
		const answer = await fetch(stack.url + url, { method, headers: handed, body })
		if (url.endsWith('/generations') && ordered++ < inPlace.length) {
			const text = inPlace[ordered - 1]
			text === undefined ? response.destroy() : response.end(text)
			return
		}
		response.writeHead(answer.status)
		await pipeline(answer.body!, response)
	})
	await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
	const DARKROOM_URL = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
	const file = join(dir, 'held-up.png')
	const args = ['generate', 'a red sphere in the dark', '-o', file, '--steps', '4']
	await run(process.execPath, [cli, ...args], { env: env({ DARKROOM_URL }) })
	expect([ordered, asked, isPng(file)]).toEqual([4, 4, true])
	const { generations } = (await (await stack.fetch('/v1/generations')).json()) as { generations: Generation[] }
	expect(generations.filter(({ request }) => request.prompt === args[1])).toHaveLength(1)
	between.closeAllConnections()
	between.close()
})

it('is a package for other projects, with types, where Node.js runs no TypeScript', async () => {
	execFileSync(process.execPath, [join(root, 'infra/package.ts')])
	const project = mkdtempSync(join(dir, 'project-'))
	const modules = join(project, 'node_modules')
	mkdirSync(modules)
	cpSync(join(root, 'dist/darkroom'), join(modules, 'darkroom'), { recursive: true })
	symlinkSync(join(root, 'node_modules/zod'), join(modules, 'zod'))
	writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
	writeFileSync(
		join(project, 'app.ts'),
		`import { Darkroom, DarkroomError, type Generation, type GenerationOrder } from 'darkroom/client'
const order: GenerationOrder = { model: 'scenes', prompt: 'a red sphere', steps: 1 }
// @ts-expect-error There is no such field.
export const wrong: GenerationOrder = { model: 'scenes', promt: 'a red sphere' }
declare const process: { env: Record<string, string> }
const client = new Darkroom({ url: process.env.DARKROOM_URL!, apiKey: process.env.DARKROOM_API_KEY! })
let generation: Generation = await client.create(order)
for await (const event of client.events(generation.id)) {
	if (event.type === 'end') {
		generation = event.generation
	}
}
const problem = await client.generation('gen_nothing').catch((error: unknown) => (error as DarkroomError).problem.status)
console.log(generation.status, problem)
`
	)
	const tsc = join(root, 'node_modules/typescript/bin/tsc')
	const settings = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', '']
	execFileSync(process.execPath, [tsc, ...settings, 'app.ts'], { cwd: project, stdio: 'inherit' })
	expect((await run(process.execPath, [join(project, 'app.js')], { env: env() })).stdout).toBe('succeeded 404\n')
	const { stdout } = await run(process.execPath, [join(modules, 'darkroom/cli.js'), 'models'], { env: env() })
	expect(stdout).toMatch(/^scenes\t/)
})

it.each(['generate', 'models', 'usage', 'archives', 'cancel'])('%s --help tells how', async (command) => {
	expect((await darkroom(command, '--help')).stdout).toMatch(new RegExp(`^npx darkroom ${command}.*\n[\\s\\S]*DARKROOM_API_KEY`))
})

it.each([
	['--size', '128', '--size: expected <width>x<height>, got 128'],
	['--steps', 'many', '--steps: expected a number, got many'],
	['--box', 'person', '--box: expected <label>:<x0>,<y0>,<x1>,<y1>, got person'],
	['--image', 'nowhere.png', '--image: expected a file that can be read, or a URL, got nowhere.png (ENOENT'],
	['--seed', '-1', 'expected --seed=… where a value begins with a dash; --help says what there is\n'],
	['--output', 'picture.gif', 'expected a name that ends with .png'],
	['--output', 'nowhere/picture.png', '--output: expected a folder that can be written to, got nowhere'],
	['--colour', 'red', "Unknown option '--colour'; --help says what there is\n"]
])('%s %s is refused before anything is asked for', async (name, value, message) => {
	const refused = { code: 1, stderr: expect.stringContaining(message) }
	await expect(darkroom('generate', 'a red sphere', name, value)).rejects.toMatchObject(refused)
})

it('tells where a picture is that could not be saved, and saves the others', async () => {
	const full = mkdtempSync(join(dir, 'full-'))
	mkdirSync(join(full, 'taken-1.png'))
	const args = ['generate', 'a red sphere', '--count', '2', '--steps', '2', '-o', join(full, 'taken.png')]
	const { stdout, stderr, code } = await darkroom(...args).catch((error) => error)
	expect([code, stdout]).toEqual([1, `${join(full, 'taken-2.png')}\n`])
	const [, file, url] = /^(.*): EISDIR.*; the picture is at (http.*)\n$/.exec(stderr)!
	expect(file).toBe(join(full, 'taken-1.png'))
	expect((await fetch(url!)).status).toBe(200)
})

it('keeps nothing as a picture that came in its place', async () => {
	const between = createServer(async (request, response) => {
		const { url = '', method = 'GET', headers } = request
		const { authorization = '', 'content-type': type = 'application/json' } = headers
		if (!authorization) {
			response.end('<html>Please sign in.</html>')
			return
		}
		const body = method === 'GET' ? null : await text(request)
		const answer = await fetch(stack.url + url, { method, headers: { authorization, 'content-type': type }, body })
		response.writeHead(answer.status).end((await answer.text()).replaceAll(stack.url, DARKROOM_URL))
	})
	await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
	const DARKROOM_URL = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
	const file = join(dir, 'page.png')
	const args = [cli, 'generate', 'a red sphere', '-o', file, '--steps', '2']
	await expect(run(process.execPath, args, { env: env({ DARKROOM_URL }) })).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/page\.png: expected \d+ bytes of storage, got 28; the picture is at http/)
	})
	expect(existsSync(file)).toBe(false)
	between.closeAllConnections()
	between.close()
})

it.each([
	[{ DARKROOM_API_KEY: '' }, 'expected both DARKROOM_URL and DARKROOM_API_KEY in the environment, or neither'],
	[{ DARKROOM_URL: '' }, 'expected both DARKROOM_URL and DARKROOM_API_KEY in the environment, or neither'],
	[{ DARKROOM_API_KEY: 'dk_demo_…' }, 'DARKROOM_API_KEY: expected plain letters, digits and signs, got others too'],
	[{ DARKROOM_URL: 'darkroom' }, 'DARKROOM_URL: expected an address such as https://darkroom.example, got darkroom'],
	[{ DARKROOM_URL: 'localhost:8787' }, 'DARKROOM_URL: expected an address such as https://darkroom.example, got localhost:8787'],
	[
		{ DARKROOM_URL: '', DARKROOM_API_KEY: '', DATA_DIR: dir },
		`${join(dir, 'dev.json')}: expected what \`npm start\` writes there, got`
	]
])('asks nobody else than was meant: %o', async (more, message) => {
	writeFileSync(join(dir, 'dev.json'), '{ "url": ')
	const asked = run(process.execPath, [cli, 'models'], { env: env(more) })
	await expect(asked).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(message) })
})

it.each([
	[['usage', '2026-01-01'], 'usage: expected nothing more, got 2026-01-01\n'],
	[['usage', '-o', 'usage.csv'], 'usage: takes no --output\n'],
	[['cancel', 'gen_a', 'gen_b'], 'expected quotes around what has spaces, got also gen_b\n']
])('%j asks for what there is not', async (words, stderr) => {
	await expect(darkroom(...words)).rejects.toMatchObject({ code: 1, stdout: '', stderr })
})

it('says where it had no answer', async () => {
	const nowhere = run(process.execPath, [cli, 'models'], { env: env({ DARKROOM_URL: 'http://127.0.0.1:9' }) })
	await expect(nowhere).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/^no answer from http:\/\/127\.0\.0\.1:9: .+\n$/)
	})
})

it('says what answers in the place of the API', async () => {
	const between = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'))
	await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
	const DARKROOM_URL = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
	await expect(run(process.execPath, [cli, 'models'], { env: env({ DARKROOM_URL }) })).rejects.toMatchObject({
		code: 1,
		stderr: `Expected JSON from ${DARKROOM_URL}/v1/models, got text/html.\n`
	})
	between.closeAllConnections()
	between.close()
})

it("says what is wrong, in the API's words", async () => {
	await expect(darkroom('generate', 'a red sphere', '--count', '99')).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringContaining('/count: expected at most 8, got 99')
	})
	await expect(darkroom('cancel', 'gen_nothing')).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/Nothing can be at .*: \/id: expected .*, got "gen_nothing"/)
	})
})

it('says when to come back', async () => {
	const made = await stack.fetch('/v1/keys', {
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ limits: { requests_per_minute: 1 } })
	})
	const { key } = await made.json()
	const args = [cli, 'generate', 'a red sphere', '--steps', '1', '-o', join(dir, 'one.png')]
	const draw = () => run(process.execPath, args, { env: env({ DARKROOM_API_KEY: key }) })
	await draw()
	await expect(draw()).rejects.toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/^Expected at most 1 orders a minute\. Try again in \d+ s\.\n$/)
	})
})
