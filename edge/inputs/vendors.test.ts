import { beforeAll, describe, expect, inject, it } from 'vitest'
import { inputLimits } from '../../shared/input-limits.ts'
import { fetchEdge, newAccount, post } from '../testing.ts'

const png = Buffer.from(inject('files')['plain.png']!, 'base64')
/** Each way of giving a file: what it is answered with. */
const ways = {
	async 'openai: an edit'(key: string, file: File) {
		return sendForm(key, '/openai/v1/images/edits', { image: file, prompt: 'a red sphere', model: 'scenes', stream: 'true' })
	},
	'openai: a file': (key: string, file: File) => sendForm(key, '/openai/v1/files', { file, purpose: 'vision' }),
	'replicate: a file': (key: string, file: File) => sendForm(key, '/replicate/v1/files', { content: file }),
	async 'fal: storage'(key: string, file: File) {
		const headers = { 'x-fal-target-url': 'https://rest.fal.ai/storage/upload/initiate' }
		const { upload_url } = await (await post('/fal/proxy', key, { content_type: 'image/png' }, headers)).json<{
			upload_url: string
		}>()
		const { pathname, search } = new URL(upload_url)
		return fetchEdge(pathname + search, { method: 'PUT', body: await file.arrayBuffer() })
	}
}

function sendForm(key: string, path: string, fields: Record<string, string | File>): Promise<Response> {
	const form = new FormData()
	for (const [name, value] of Object.entries(fields)) {
		form.set(name, value)
	}
	return fetchEdge(path, { method: 'POST', headers: { authorization: `Bearer ${key}` }, body: form })
}

describe.each(Object.entries(ways))('%s', (_, send) => {
	let key: string
	beforeAll(async () => {
		;({ key } = await newAccount())
	})

	it.each(['', 'image/png', 'image/gif', 'image/png, a', `image/${'x'.repeat(300)}`])(
		'that is a picture is taken, whatever its type is said to be: %.20s',
		async (type) => {
			const answer = await send(key, new File([png], '../"ä\n.png', { type }))
			expect([200, 201]).toContain(answer.status)
			await answer.body?.cancel()
		}
	)

	it.each([
		['an image: png, jpeg, webp, gif, avif', '0 bytes that begin with nothing', Buffer.alloc(0)],
		['a whole png', 'one that is cut off', png.subarray(0, -20)],
		[`at most ${inputLimits.bytes} bytes`, '10485761', Buffer.concat([png, Buffer.alloc(inputLimits.bytes + 1 - png.length)])]
	])('is refused where it is not %s', async (expected, received, bytes) => {
		const answer = await send(key, new File([bytes], 'a.png', { type: 'image/png' }))
		expect([400, 422]).toContain(answer.status)
		expect((await answer.text()).toLowerCase()).toContain(`expected ${expected}, got ${received}`)
	})
})
