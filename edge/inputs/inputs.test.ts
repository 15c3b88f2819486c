import { beforeAll, describe, expect, inject, it } from 'vitest'
import type { StartAnswer } from '../../shared/contract/callbacks.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Problem } from '../../shared/contract/problem.ts'
import type { Upload } from '../../shared/contract/upload.ts'
import { inputLimits } from '../../shared/input-limits.ts'
import { call, codeOf, env, newAccount, post } from '../testing.ts'
import { inputKey } from './store.ts'

const outside = inject('outside')
const files = inject('files')
const bytesOf = (name: string) => new Uint8Array(Buffer.from(files[name]!, 'base64'))
const dataUri = (name: string) => `data:application/octet-stream;base64,${files[name]}`
const upload = { content_type: 'image/png', size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==' }

describe('inputs', () => {
	let account: string
	let key: string
	beforeAll(async () => {
		;({ account, key } = await newAccount())
	})
	const ask = (fields: object) => post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere', seed: 1, ...fields })
	const accepted = async (fields: object) => {
		const answer = await ask(fields)
		expect(answer.status).toBe(202)
		return answer.json<Generation>()
	}
	/** What was expected and what came, of the one field that was refused. */
	const refused = async (fields: object) => {
		const answer = await ask(fields)
		expect(answer.status).toBe(422)
		const { errors } = await answer.json<Problem>()
		expect(errors).toHaveLength(1)
		return errors![0]!
	}
	const stored = async (name: string, owner = account) => {
		const id = (await (await post('/v1/uploads', key, upload)).json<Upload>()).id
		await env.BUCKET.put(inputKey(owner, id), bytesOf(name))
		return id
	}

	it('are uploaded to a place that is signed for them alone', async () => {
		const answer = await post('/v1/uploads', key, upload)
		expect(answer.status).toBe(201)
		const { id, url, headers, expires_at } = await answer.json<Upload>()
		expect(url).toContain(`http://storage.test/darkroom/inputs/${account}/${id}?`)
		const signed = new URL(url).searchParams.get('X-Amz-SignedHeaders')
		expect(signed).toBe('content-length;content-md5;content-type;host;if-none-match')
		expect(headers).toEqual({
			'content-length': '4',
			'content-md5': upload.md5,
			'content-type': 'image/png',
			'if-none-match': '*'
		})
		expect(Date.parse(expires_at)).toBeGreaterThan(Date.now())
	})

	it.each([
		{ ...upload, size: inputLimits.bytes + 1 },
		{ ...upload, content_type: 'image/svg+xml' },
		{ ...upload, md5: 'x' },
		{ ...upload, size: undefined }
	])('are not uploaded as %o', async (body) => {
		expect(await codeOf(await post('/v1/uploads', key, body))).toBe('422 invalid-request')
	})

	it('are stored from anywhere, and named in a request that can be posted again', async () => {
		for (const image of [await stored('plain.png'), dataUri('plain.png'), `${outside}/plain.png`]) {
			const { request } = await accepted({ image, width: 96, height: 96 })
			expect(request).toMatchObject({ task: 'image-to-image', strength: 0.8, image: expect.stringMatching(/^upl_/) })
			const object = await env.BUCKET.get(inputKey(account, request.image!))
			expect(new Uint8Array(await object!.arrayBuffer())).toEqual(bytesOf('plain.png'))
			expect((await accepted(request)).request).toEqual(request)
		}
	})

	it('are looked at for a dry run, and not stored', async () => {
		const list = async () => (await env.BUCKET.list({ prefix: inputKey(account, '') })).objects.length
		const before = await list()
		const fields = { model: 'scenes', prompt: 'a red sphere', seed: 1, image: dataUri('plain.png'), mask: `${outside}/mask.png` }
		const answer = await post('/v1/generations?dry_run=1', key, fields)
		expect(answer.status).toBe(200)
		const { request, warnings } = await answer.json<{ request: object; warnings: object[] }>()
		expect(request).toMatchObject({ task: 'inpainting' })
		expect(request).not.toHaveProperty('image')
		expect(warnings).toEqual((await accepted(fields)).warnings)
		expect(await list()).toBe(before + 2)
		const bad = await post('/v1/generations?dry_run=1', key, { ...fields, image: 'data:image/png;base64,AAAA' })
		expect(await codeOf(bad)).toBe('422 invalid-request')
	})

	it('are handed to the node under signed URLs', async () => {
		const { id, request } = await accepted({ image: dataUri('plain.png'), mask: dataUri('mask.png') })
		expect(request).toMatchObject({ task: 'inpainting' })
		const { inputs } = await (
			await call({ account, generation: id, epoch: 1 }, 'start', { run: 'run-one-one' })
		).json<StartAnswer>()
		expect(Object.keys(inputs!)).toEqual(['image', 'mask'])
		expect(inputs!.mask).toContain(`http://storage.test/darkroom/inputs/${account}/${request.mask}?`)
	})

	it('give the picture its size, upright and in the model’s multiples, and what becomes of them is told', async () => {
		const { request, warnings } = await accepted({ image: dataUri('on-its-side.jpg') })
		expect(request).toMatchObject({ width: 128, height: 96 })
		expect(warnings.map(({ code }) => code)).toEqual(['size-rounded', 'image-resized', 'image-cropped'])
		const other = await accepted({ image: dataUri('plain.png'), mask: dataUri('mask.png'), width: 128, height: 128 })
		expect(other.warnings).toEqual([
			{ code: 'image-resized', detail: 'The image of 60 × 40 pixels was scaled to 192 × 128.' },
			{ code: 'image-cropped', detail: "Of the image's 192 × 128 pixels the 128 × 128 in the middle were taken." },
			{ code: 'mask-resized', detail: 'The mask of 30 × 20 pixels was stretched over the image of 60 × 40.' }
		])
	})

	it.each([
		[128, 16, true],
		[129, 16, false],
		[128, 15, false]
	])('of %i × %i pixels are enlarged: %s', async (width, height, isTaken) => {
		// GIF says its size twice, and has no checksum of either.
		const gif = Buffer.from(files['plain.gif']!, 'base64')
		gif.writeUInt16LE(width, 6)
		gif.writeUInt16LE(height, 8)
		const image = `data:image/gif;base64,${gif.toString('base64')}`
		const fields = { model: 'scenes-super-resolution', prompt: undefined, image }
		if (isTaken) {
			expect((await accepted(fields)).request).toMatchObject({ width: 4 * width, height: 4 * height })
		} else {
			const received = `${width} × ${height} pixels`
			expect(await refused(fields)).toMatchObject({ pointer: '/image', expected: 'sides of 16 to 128 pixels', received })
		}
	})

	it('belong to one account', async () => {
		const stranger = await newAccount()
		const theirs = await stored('plain.png', stranger.account)
		const nobodys = 'upl_00000000000000000000000000'
		for (const image of [theirs, nobodys, 'upl_x', `upl_/../${account}`]) {
			expect(await refused({ image })).toMatchObject({
				pointer: '/image',
				expected: 'an upload of this account whose bytes were PUT'
			})
		}
	})

	it('of whoever has no good key are neither stored nor fetched', async () => {
		const before = (await env.BUCKET.list({ prefix: 'inputs/' })).objects.length
		const answer = await post(
			'/v1/generations',
			key.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
			{ image: dataUri('plain.png') }
		)
		expect(await codeOf(answer)).toBe('401 unauthorized')
		expect((await env.BUCKET.list({ prefix: 'inputs/' })).objects).toHaveLength(before)
	})

	it('are not stored for a request that is wrong in anything else', async () => {
		const before = (await env.BUCKET.list({ prefix: inputKey(account, '') })).objects.length
		expect(await refused({ image: dataUri('plain.png'), steps: 1_000 })).toMatchObject({ pointer: '/steps' })
		expect((await env.BUCKET.list({ prefix: inputKey(account, '') })).objects).toHaveLength(before)
	})

	it.each([
		['data:image/png,plain', 'data:<type>;base64,<data>'],
		['data:image/png;base64', 'data:<type>;base64,<data>'],
		['data:image/png;name="a,b.png";base64,AAAA', 'data:<type>;base64,<data>'],
		['data:image/png;base64,AAAA!AAA', 'base64 after the comma'],
		['data:image/png;base64,AAAA%21AAA', 'base64 after the comma'],
		['data:image/png;base64,AAAA#AAA', 'base64 after the comma'],
		['data:;base64,', 'an image: png, jpeg, webp, gif, avif'],
		['data:image/png;base64,PHN2Zz48L3N2Zz4=', 'an image: png, jpeg, webp, gif, avif'],
		[`data:image/png;base64,${'A'.repeat(14_000_000)}`, `at most ${inputLimits.bytes} bytes`]
	])('are refused as data URIs that are none: %.30s', async (image, expected) => {
		expect(await refused({ image })).toMatchObject({ pointer: '/image', expected })
	})

	it('come in the base64 of any writer', async () => {
		// As much of it as has both letters that differ.
		const bytes = new Uint8Array(Buffer.concat([bytesOf('plain.png'), Buffer.from([0xfb, 0xff, 0xbf, 0])]))
		const base64 = Buffer.from(bytes).toString('base64')
		expect(base64).toMatch(/\+.*\/.*==$/)
		for (const uri of [
			`  data:image/png;base64,${base64}\n`,
			`DATA:image/png;BASE64,${base64}`,
			`data:;base64,${base64}`,
			`data:text/html;charset=utf-16;base64,${base64}`,
			`data:image/png; base64,${base64}`,
			`data:image/png;base64,${base64.replaceAll('=', '')}`,
			`data:image/png;base64,${base64.replace(/.{76}/g, '$&\r\n')}`,
			`data:image/png;base64,${Buffer.from(bytes).toString('base64url')}`,
			`data:image/png;base64,${encodeURIComponent(base64)}`
		]) {
			const { request } = await accepted({ image: uri })
			const object = await env.BUCKET.get(inputKey(account, request.image!))
			expect(new Uint8Array(await object!.arrayBuffer())).toEqual(bytes)
		}
	})

	it('are refused by the size that they claim', async () => {
		const bomb = bytesOf('plain.png')
		new DataView(bomb.buffer).setUint32(16, 100_000)
		new DataView(bomb.buffer).setUint32(20, 100_000)
		const image = `data:image/png;base64,${Buffer.from(bomb).toString('base64')}`
		expect(await refused({ image })).toMatchObject({ received: '100000 × 100000 pixels' })
	})

	it('are refused where they are no wider than a line', async () => {
		const line = bytesOf('plain.png')
		new DataView(line.buffer).setUint32(16, 1)
		new DataView(line.buffer).setUint32(20, 65_536)
		const image = `data:image/png;base64,${Buffer.from(line).toString('base64')}`
		expect(await refused({ image })).toMatchObject({ expected: 'at most 65535 pixels a side', received: '1 × 65536 pixels' })
	})

	it('are refused where their end is missing', async () => {
		for (const [name, type] of Object.entries({ 'plain.png': 'png', 'progressive.jpg': 'jpeg', 'lossy.webp': 'webp' })) {
			const half = Buffer.from(bytesOf(name)).subarray(0, bytesOf(name).length - 20)
			expect(await refused({ image: `data:;base64,${half.toString('base64')}` })).toMatchObject({
				pointer: '/image',
				expected: type === 'jpeg' ? 'a whole jpeg of 8 bits a sample' : `a whole ${type}`,
				received: 'one that is cut off'
			})
		}
	})

	it.each([
		['of HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0')],
		['of TIFF', Buffer.from('II*\0\0\0\0\0')],
		['of PDF', Buffer.from('%PDF-1.4')],
		['of HTML or SVG', Buffer.from('\ufeff\n<!doctype html>')],
		['that begin 504b0304', Buffer.from('PK\x03\x04')]
	])('are told for what they are: %s', async (kind, bytes) => {
		const image = `data:image/png;base64,${bytes.toString('base64')}`
		expect(await refused({ image })).toMatchObject({ received: `${bytes.length} bytes ${kind}` })
	})

	it('may be large, but not endless', async () => {
		const answer = await ask({ image: `data:image/png;base64,${'A'.repeat(21 * 1024 * 1024)}` })
		expect(await codeOf(answer)).toBe('413 payload-too-large')
	})

	const isPublic = 'an https URL of a public host, without credentials'
	it.each([
		['http://10.0.0.1/x.png', isPublic],
		['http://169.254.169.254/latest/meta-data/', isPublic],
		['https://user:pass@example.com/x.png', isPublic],
		['file:///etc/passwd', isPublic],
		['plain.png', 'the id of an upload, a data: URI or an https URL'],
		[files['plain.png']!, 'the id of an upload, a data: URI or an https URL'],
		[' ', 'the id of an upload, a data: URI or an https URL'],
		[`${outside}/redirect?to=http://192.168.1.1/`, isPublic],
		[`${outside}/redirect?to=${encodeURIComponent(`${outside}/redirect?to=http://[fd00::1]/`)}`, isPublic],
		[`${outside}/redirect?to=file:///etc/passwd`, isPublic],
		[`${outside}/redirect?to=http://:0/`, isPublic],
		[`${outside}/loop`, 'an image after at most 3 redirects'],
		[`${outside}/missing`, 'an image at the URL'],
		[`${outside}/page`, 'an image: png, jpeg, webp, gif, avif'],
		[`${outside}/endless`, `at most ${inputLimits.bytes} bytes`],
		// An account has no room for three of them, were they kept.
		[`${outside}/endless?again`, `at most ${inputLimits.bytes} bytes`],
		[`${outside}/bomb`, `at most ${inputLimits.bytes} bytes`],
		['http://127.0.0.1:1/x.png', 'an image at the URL within 10 seconds']
	])('are refused where the URL is %s', async (image, expected) => {
		expect(await refused({ image })).toMatchObject({ pointer: '/image', expected })
	})

	it('are not waited for for ever', async () => {
		const both = await Promise.all(['silent', 'stalling'].map((name) => refused({ image: `${outside}/${name}` })))
		expect(both).toMatchObject([
			{ expected: 'an image at the URL within 10 seconds' },
			{ expected: 'a whole image within 10 seconds', received: 'its first 40 bytes' }
		])
	})

	it('are found behind three redirects', async () => {
		const behind = (url: string) => `${outside}/redirect?to=${encodeURIComponent(url)}`
		const { request } = await accepted({ image: behind(behind(behind('/lossy.webp'))) })
		expect(request.width).toBe(128)
	})
})
