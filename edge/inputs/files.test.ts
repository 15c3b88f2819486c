import { expect, inject, it } from 'vitest'
import { env, fetchEdge, get, newAccount } from '../testing.ts'
import { inputKey } from './store.ts'

const png = Buffer.from(inject('files')['plain.png']!, 'base64')

async function send(name: string, metadata?: string) {
	const { key } = await newAccount()
	const form = new FormData()
	form.set('content', new File([png], name))
	if (metadata !== undefined) {
		form.set('metadata', metadata)
	}
	const headers = { authorization: `Bearer ${key}` }
	return fetchEdge('/replicate/v1/files', { method: 'POST', headers, body: form })
}

it.each([
	['漢'.repeat(200), '漢'.repeat(200)],
	['漢'.repeat(300), '漢'.repeat(200)],
	// Where it is cut is the middle of a character of two.
	[`${'a'.repeat(199)}😀`, `${'a'.repeat(199)}\ufffd`],
	['<script>.png', '<script>.png']
])('keeps a file called %s', async (name, kept) => {
	const answer = await send(name)
	expect([answer.status, await answer.json()]).toMatchObject([201, { name: kept, content_type: 'image/png' }])
})

it('keeps as much of what its owner says of a file as storage does, beside its name', async () => {
	const jsonOf = (length: number) => `{"a":"${'漢'.repeat(length)}"}`
	const answer = await send('漢'.repeat(200), jsonOf(660))
	expect([answer.status, await answer.json()]).toMatchObject([201, { metadata: { a: '漢'.repeat(660) } }])
	for (const metadata of [jsonOf(670), jsonOf(10_000), `{"a":"${'x'.repeat(6_000)}"}`, '[]', 'a']) {
		const refused = await send('a.png', metadata)
		expect([refused.status, await refused.json()]).toMatchObject([422, { invalid_fields: [{ field: 'metadata' }] }])
	}
})

it('hands a page that was uploaded as a picture out as nothing that a browser would open', async () => {
	const { account, key } = await newAccount()
	const id = 'upl_00000000000000000000000000'
	await env.BUCKET.put(inputKey(account, id), '<script>alert(1)</script>', { httpMetadata: { contentType: 'image/png' } })
	const { headers } = await get(`/openai/v1/files/${id}/content`, key)
	expect([headers.get('content-type'), headers.get('x-content-type-options')]).toEqual(['image/png', 'nosniff'])
})
