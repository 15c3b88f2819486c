import { beforeAll, expect, inject, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Problem } from '../../shared/contract/problem.ts'
import { newId } from '../../shared/ids.ts'
import { codeOf, env, fetchEdge, newAccount, post } from '../testing.ts'
import { inputKey } from './store.ts'

const png = Buffer.from(inject('files')['plain.png']!, 'base64')
/** The picture, and after it what decoders pass over, until all letters of base64 are in it many times. */
const long = Buffer.concat([png, Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >> 3)])
const order = { model: 'scenes', prompt: 'a red sphere', seed: 1 }

let account: string
let key: string
beforeAll(async () => {
	;({ account, key } = await newAccount())
}, 20_000)

const stored = async (id: string) => Buffer.from(await (await env.BUCKET.get(inputKey(account, id)))!.arrayBuffer())

it.each<[string, (base64: string) => string]>([
	['as it is', (base64) => base64],
	['in lines', (base64) => base64.replace(/.{60}/g, '$&\\n')],
	['with its slashes escaped', (base64) => base64.replaceAll('/', '\\/')],
	['with letters by number', (base64) => base64.replaceAll('+', '\\u002B').replaceAll('=', '\\u003d')],
	['percent-encoded', (base64) => encodeURIComponent(base64)],
	['without padding', (base64) => base64.replaceAll('=', '')]
])('takes a long data: URI as writers of JSON have it: %s', async (_, written) => {
	const uri = `data:image/png;base64,${written(long.toString('base64'))}`
	const body = `{"image":"${uri}","mask" : "${uri}" ,${JSON.stringify({ ...order, prompt: '"\\' }).slice(1)}`
	const answer = await post('/v1/generations', key, body)
	const { request } = await answer.json<Generation>()
	expect([answer.status, request]).toMatchObject([202, { prompt: '"\\', task: 'inpainting' }])
	expect((await stored(request.image!)).equals(long)).toBe(true)
	expect((await stored(request.mask!)).equals(long)).toBe(true)
})

it('needs room for the largest part of an order alone: the body, with its image, is let go of before a mask is read', {
	timeout: 60_000
}, async () => {
	// With every slash escaped, as PHP writes JSON, of 20 MiB; and together over what one account may hold.
	const image = Buffer.concat([png, Buffer.alloc(7_700_000, 0xff)])
	const mask = Buffer.concat([png, Buffer.alloc(10 * 1024 * 1024 - png.length)])
	const upload = newId('upl')
	await env.BUCKET.put(inputKey(account, upload), mask)
	const text = image.toString('base64').replaceAll('/', '\\/')
	const body = `{"image":"data:image\\/png;base64,${text}","mask":"${upload}",${JSON.stringify(order).slice(1)}`
	const answer = await post('/v1/generations', key, body)
	const { request } = await answer.json<Generation>()
	expect([answer.status, request]).toMatchObject([202, { task: 'inpainting', mask: upload }])
	expect((await stored(request.image!)).equals(image)).toBe(true)
})

it.each([
	['base64 after the comma', '"!" at its character 80001', `data:;base64,${'A'.repeat(80_000)}!${'A'.repeat(9)}`],
	['base64 after the comma', '"ä" at its character 80001', `data:;base64,${'A'.repeat(80_000)}ä${'A'.repeat(9)}`],
	['base64 after the comma', '"%" at its character 80001', `data:;base64,${'A'.repeat(80_000)}%4`],
	['base64 after the comma', '"%" at its character 80001', `data:;base64,${'A'.repeat(80_000)}%4g${'A'.repeat(9)}`],
	['data:<type>;base64,<data>', undefined, `data:${'A'.repeat(80_000)}`],
	[
		'an image: png, jpeg, webp, gif, avif',
		'60000 bytes that begin 000000000000000000000000',
		`data:;base64,${'A'.repeat(80_000)}`
	]
])('refuses a long data: URI that is not %s', async (expected, received, image) => {
	const { errors } = await (await post('/v1/generations', key, { ...order, image })).json<Problem>()
	expect(errors).toMatchObject([{ pointer: '/image', expected, ...(received && { received }) }])
})

it('tells of a long data: URI where none is expected', async () => {
	const uri = `data:;base64,${'A'.repeat(80_000)}`
	const { errors } = await (await post('/v1/generations', key, { ...order, prompt: uri })).json<Problem>()
	expect(errors).toMatchObject([{ pointer: '/prompt', received: 'a data: URI of 80013 characters' }])
})

it.each([
	['one long text', `{"prompt":"${'x'.repeat(300_000)}"}`, '413 payload-too-large'],
	['many small values', `{"prompt":[${'[],'.repeat(100_000)}[]]}`, '413 payload-too-large'],
	['many texts', `["${'a","'.repeat(80_000)}"]`, '413 payload-too-large'],
	['backslashes', `"${'\\\\'.repeat(50_000)}`, '400 malformed-json'],
	['a URI without an end', `{"image":"data:;base64,${'A'.repeat(80_000)}`, '400 malformed-json'],
	['a URI and no more', `{"image":"data:;base64,${'A'.repeat(80_000)}"`, '400 malformed-json'],
	[
		'deep',
		`${'['.repeat(100_000)}"data:;base64,${'A'.repeat(2_000)}"${']'.repeat(100_000)}`,
		/^4(00 malformed-json|22 invalid-request)$/
	]
])('refuses a large body of %s', async (_, body, expected) => {
	const code = await codeOf(await post('/v1/generations', key, body))
	expect(code).toMatch(expected)
})

it.each([
	['/v1/generations', 9_000, '400 broken-off'],
	['/v1/generations', 70_000, '400 broken-off'],
	['/v1/uploads', 9_000, '400 broken-off'],
	['/v1/uploads', 2_000_000, '413 payload-too-large']
])('has no fault of its own where a client leaves: %s', async (path, length, code) => {
	const { readable, writable } = new FixedLengthStream(length)
	const writer = writable.getWriter()
	writer.write(new Uint8Array(100)).then(
		() => writer.abort(new Error('gone')),
		() => {}
	)
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': `${length}` }
	const answer = await fetchEdge(path, { method: 'POST', headers, body: readable })
	expect(await codeOf(answer)).toBe(code)
})

it.each(['/v1/generations?dry_run=1', '/v1/keys'])('reads JSON in UTF-8 alone, and says what else came: %s', async (path) => {
	const text = JSON.stringify(path.endsWith('keys') ? { name: 'café' } : { ...order, prompt: 'café' })
	const send = async (body: Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...more }
		const answer = await fetchEdge(path, { method: 'POST', headers, body })
		return answer.ok ? answer.status : [answer.status, (await answer.json<Problem>()).detail]
	}
	const utf8 = Buffer.from(text)
	expect(await send(utf8)).toBeLessThan(300)
	expect(await send(Buffer.concat([Buffer.from('efbbbf', 'hex'), utf8]))).toBeLessThan(300)
	for (const encoding of ['latin1', 'utf16le'] as const) {
		const bytes = Buffer.from(`\ufeff${text}`, encoding)
		expect(await send(bytes)).toEqual([400, 'The body is not in UTF-8.'])
	}
	const zipped = new Uint8Array(
		await new Response(new Blob([utf8]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer()
	)
	expect(await send(zipped, { 'content-encoding': 'gzip' })).toEqual([415, 'Expected a body without content-encoding, got gzip.'])
})

it('knows the order of a form again by its file', async () => {
	const name = `a-form-${crypto.randomUUID()}`
	const ask = async (bytes: Buffer) => {
		const form = new FormData()
		form.set('image', new File([bytes], 'a.png'))
		form.set('prompt', 'a red sphere')
		form.set('model', 'scenes')
		form.set('stream', 'true')
		const headers = { authorization: `Bearer ${key}`, 'idempotency-key': name }
		const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: form })
		if (!answer.ok) {
			return [answer.status, await answer.text()]
		}
		await answer.body?.cancel()
		return [answer.status, '']
	}
	const before = (await env.BUCKET.list({ prefix: inputKey(account, '') })).objects.length
	expect(await ask(long)).toEqual([200, ''])
	expect(await ask(long)).toEqual([200, ''])
	expect((await env.BUCKET.list({ prefix: inputKey(account, '') })).objects).toHaveLength(before + 1)
	expect(await ask(png)).toEqual([400, expect.stringContaining('idempotency_key_reused')])
})

const part = (head: string, body = 'x') => `--b\r\n${head}\r\n\r\n${body}\r\n`
const named = (name: string) => `Content-Disposition: form-data; name="${name}"`
const sendForm = (body: string | Uint8Array) => {
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'multipart/form-data; boundary="b"' }
	return fetchEdge('/replicate/v1/files', { method: 'POST', headers, body })
}

it.each([
	['that begins with a line break', '\r\n', '; filename="a.png"'],
	['that begins with what is for people', 'A message in parts.\r\n', '; filename="a.png"'],
	['whose file has no name', '', '\r\nContent-Type: image/png'],
	['whose file has no type', '', '; filename="a.png"'],
	['whose names are in no quotes', '', '; filename=a.png', 'Content-Disposition: form-data; name=content']
])('reads a form %s', async (_, before, more, head = named('content')) => {
	const [start, end] = [`${before}--b\r\n${head}${more}\r\n\r\n`, '\r\n--b--']
	const answer = await sendForm(Buffer.concat([Buffer.from(start), png, Buffer.from(end)]))
	expect([answer.status, await answer.json()]).toEqual([201, expect.objectContaining({ size: png.length })])
})

it('takes a file that nobody chose, which a page’s form sends all the same, for one that is absent', async () => {
	const none = part(`${named('content')}; filename=""\r\nContent-Type: application/octet-stream`, '')
	const answer = await sendForm(`${none}--b--`)
	expect(await answer.json()).toMatchObject({ status: 422, detail: expect.stringContaining('expected a file, got nothing') })
	const [start, end] = [`${none}--b\r\n${named('content')}; filename=""\r\n\r\n`, '\r\n--b--']
	expect((await sendForm(Buffer.concat([Buffer.from(start), png, Buffer.from(end)]))).status).toBe(201)
})

it('tells which part of a form is no text', async () => {
	const answer = await sendForm(Buffer.from(`${part(named('metadata'), '\xff')}--b--`, 'latin1'))
	expect(await answer.json()).toMatchObject({
		status: 400,
		detail: expect.stringContaining('metadata is neither a file nor text')
	})
})

it.each([
	['nothing', '', 422],
	['another boundary', `--c\r\n${named('a')}\r\n\r\nx\r\n--c--`, 400],
	['no end', part(named('a')), 400],
	['half a head', '--b\r\nContent-Disposition: form-da', 400],
	['a part without a name', `${part('Content-Type: text/plain')}--b--`, 400],
	['a head of 20 kB', `${part(`${named('a')}\r\nX: ${'x'.repeat(20_000)}`)}--b--`, 400],
	['5,000 parts', `${part(named('a')).repeat(5_000)}--b--`, 400],
	['long text', `${part(named('a'), 'x'.repeat(300_000))}--b--`, 413],
	['no file', `${part(named('__proto__'))}${part(named('a[b][c]'))}--b--`, 422],
	['text in place of a file', `${part(named('content'))}--b--`, 422],
	['two files', `${part(`${named('content')}; filename="a"`).repeat(2)}--b--`, 422]
])('refuses a form of %s', async (_, body, status) => {
	const answer = await sendForm(body)
	expect([answer.status, await answer.text()]).toEqual([status, expect.stringMatching(/"detail":".+"/)])
})

it.each([
	['POST', '/v1/uploads'],
	['POST', '/v1/webhooks'],
	['POST', '/v1/keys'],
	// For which nobody needs a key.
	['QUERY', '/replicate/v1/models']
])('reads little where nothing is long, for as values that is many times as much: %s %s', async (method, path) => {
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
	const ask = async (length: number) => {
		const text = `[${'[],'.repeat(length / 3)}[]]`
		const { status } = await fetchEdge(path, { method, headers, body: text })
		return status
	}
	expect(await ask(20_000)).toBe(413)
	expect(await ask(10_000)).not.toBe(413)
})

it.each(['/v1/webhooks', '/v1/uploads'])('tells whoever sends nothing, and no type of it, what %s expects', async (path) => {
	const answer = await fetchEdge(path, { method: 'POST', headers: { authorization: `Bearer ${key}` } })
	const { status, errors } = await answer.json<Problem>()
	expect([status, errors?.every(({ received }) => received === 'nothing')]).toEqual([422, true])
})
