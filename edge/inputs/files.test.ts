import { createHash } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { newId } from '../../shared/ids.ts'
import { env, fetchEdge, get, newAccount, post, remove } from '../testing.ts'
import { inputKey } from './store.ts'

const png = Buffer.from(inject('files')['plain.png']!, 'base64')

async function send(name: string, fields: Record<string, string> = {}) {
	const { key } = await newAccount()
	const form = new FormData()
	form.set('content', new File([png], name))
	for (const [field, text] of Object.entries(fields)) {
		form.set(field, text)
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
	const sha256 = createHash('sha256').update(png).digest('hex')
	expect([answer.status, await answer.json()]).toMatchObject([
		201,
		{ name: kept, content_type: 'image/png', checksums: { sha256 } }
	])
})

it('keeps as much of what its owner says of a file as storage does, beside its name', async () => {
	const jsonOf = (length: number) => `{"a":"${'漢'.repeat(length)}"}`
	const answer = await send('漢'.repeat(200), { metadata: jsonOf(660) })
	expect([answer.status, await answer.json()]).toMatchObject([201, { metadata: { a: '漢'.repeat(660) } }])
	for (const metadata of [jsonOf(670), jsonOf(10_000), `{"a":"${'x'.repeat(6_000)}"}`, '[]', 'a']) {
		const refused = await send('a.png', { metadata })
		expect([refused.status, await refused.json()]).toMatchObject([422, { invalid_fields: [{ field: 'metadata' }] }])
	}
})

// replicate-python 2.0, `files.create(content=bytes, filename=…, metadata={…})`.
it('knows a file by the name that a field has, and what is said of it field by field', async () => {
	const answer = await send('upload', { filename: 'a blue half.png', 'metadata[seen]': 'from above', 'metadata[by]': '7' })
	expect([answer.status, await answer.json()]).toMatchObject([
		201,
		{ name: 'a blue half.png', metadata: { seen: 'from above', by: '7' } }
	])
})

it.each(['metadata[seen][from]', 'metadata[seen][]'])('refuses %s, of which it would lose the shape', async (field) => {
	const answer = await send('a.png', { [field]: 'above' })
	expect([answer.status, await answer.json()]).toMatchObject([
		422,
		{ detail: `- metadata: expected texts, or all of it as JSON, got ${field}\n` }
	])
})

it.each([
	['/openai/v1/files', 'file'],
	['/replicate/v1/files', 'content']
])('tells whoever sends two files to %s that they are two', async (path, field) => {
	const { key } = await newAccount()
	const form = new FormData()
	for (const name of ['a.png', 'b.png']) {
		form.append(field, new File([png], name))
	}
	const answer = await fetchEdge(path, { method: 'POST', headers: { authorization: `Bearer ${key}` }, body: form })
	expect(await answer.text()).toContain(`${field}: expected a file, got an array of 2`)
})

it('hands a page that was uploaded as a picture out as nothing that a browser would open', async () => {
	const { account, key } = await newAccount()
	const id = 'upl_00000000000000000000000000'
	await env.BUCKET.put(inputKey(account, id), '<script>alert(1)</script>', { httpMetadata: { contentType: 'image/png' } })
	const { headers } = await get(`/openai/v1/files/${id}/content`, key)
	expect(Object.fromEntries(headers)).toMatchObject({
		'content-type': 'image/png',
		'cache-control': 'private, max-age=86400, immutable',
		'x-content-type-options': 'nosniff'
	})
})

it('shows files to a key that may read, and lets it change none', async () => {
	const { account, key } = await newAccount()
	const made = await post(`/v1/admin/accounts/${account}/keys`, env.ADMIN_TOKEN, { scopes: ['read'] })
	const { key: reader } = await made.json<{ key: string }>()
	const send = (by: string) => {
		const form = new FormData()
		form.set('file', new File([png], 'a.png'))
		return fetchEdge('/openai/v1/files', { method: 'POST', headers: { authorization: `Bearer ${by}` }, body: form })
	}
	const { id } = await (await send(key)).json<{ id: string }>()
	const removed = await remove(`/openai/v1/files/${id}`, reader)
	expect([removed.status, (await send(reader)).status]).toEqual([403, 403])
	for (const path of [
		'/openai/v1/files',
		`/openai/v1/files/${id}`,
		`/openai/v1/files/${id}/content`,
		`/replicate/v1/files/${id}`
	]) {
		expect((await get(path, reader)).status).toBe(200)
	}
})

it('lists files as it is asked to, page by page', async () => {
	const { account, key } = await newAccount()
	const now = Date.now()
	// Some of the same moment, most of the last hours, one very old.
	const ids = Array.from({ length: 1_003 }, (_, i) => newId('upl', i === 0 ? 1 : now - (i >> 2) * 20_000)).sort()
	await Promise.all(ids.map((id) => env.BUCKET.put(inputKey(account, id), '')))
	const list = async (query: Record<string, string>) => {
		const answer = await get(`/openai/v1/files?${new URLSearchParams(query)}`, key)
		return answer.json<{ data: { id: string }[]; has_more: boolean; error: { param: string } }>()
	}
	const newest = [...ids].reverse()
	for (const [query, all] of [
		[{}, newest],
		[{ order: 'desc', limit: '1000' }, newest],
		[{ order: 'asc', purpose: 'vision', limit: '10000' }, ids]
	] as const) {
		const found: string[] = []
		for (let more = true; more; ) {
			const after = found.at(-1)
			const { data, has_more } = await list({ ...query, ...(after && { after }) })
			found.push(...data.map(({ id }) => id))
			more = has_more
		}
		expect(found).toEqual(all)
	}
	expect((await list({ limit: '2' })).data.map(({ id }) => id)).toEqual(newest.slice(0, 2))
	expect(await list({ purpose: 'assistants' })).toMatchObject({ data: [], has_more: false })
	for (const [param, value] of Object.entries({ limit: '0', order: 'new', after: 'upl_' })) {
		expect((await list({ [param]: value })).error).toMatchObject({ param })
	}
}, 60_000)

it.each(['/openai/v1/files', '/replicate/v1/files'])('says what a body must be for %s', async (path) => {
	const { key } = await newAccount()
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/x-www-form-urlencoded' }
	const answer = await fetchEdge(path, { method: 'POST', headers, body: 'file=a.png' })
	expect([answer.status, await answer.text()]).toEqual([
		415,
		expect.stringContaining('Expected content-type multipart/form-data, got application/x-www-form-urlencoded.')
	])
})

it('says what a body was that is no JSON', async () => {
	const { key } = await newAccount()
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/x-www-form-urlencoded' }
	const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: 'image=a.png' })
	expect([answer.status, await answer.json()]).toMatchObject([
		400,
		{
			error: {
				message: expect.stringMatching(/^The body could not .*; its content-type is application\/x-www-form-urlencoded\.$/)
			}
		}
	])
})

it('says where a body is no JSON, as where a shell took its quotes', async () => {
	const { key } = await newAccount()
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
	const answer = await fetchEdge('/v1/generations', { method: 'POST', headers, body: "{'model':'scenes'}" })
	expect(await answer.json()).toMatchObject({ detail: expect.stringMatching(/^The body .* JSON: .* at position 1/) })
})
