import { listDurableObjectIds, runInDurableObject } from 'cloudflare:test'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Generation } from '../../shared/contract/generation.ts'
import { Problem } from '../../shared/contract/problem.ts'
import { call, codeOf, deliver, env, fetchEdge, get, newAccount, patience, post, remove } from '../testing.ts'

const good = { model: 'scenes', prompt: 'a red sphere' }

describe('generations', () => {
	let account: string
	let key: string
	beforeAll(async () => {
		;({ account, key } = await newAccount())
	})
	const submit = async (body: object = good, headers = {}) => {
		const answer = await post('/v1/generations', key, body, headers)
		return { answer, generation: Generation.parse(await answer.json()) }
	}
	const develop = async ({ id, request }: Generation) => {
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, request.seed)
		expect((await call(work, 'finish', { outcome: 'succeeded', inference_ms: 3 })).status).toBe(200)
	}

	it('are accepted with every default filled in, and can be read', async () => {
		const { answer, generation } = await submit()
		expect(answer.status).toBe(202)
		expect(answer.headers.get('location')).toBe(`/v1/generations/${generation.id}`)
		expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
		expect(generation).toMatchObject({ status: 'queued', request: { ...good, width: 128, steps: 25, count: 1 } })
		const read = await get(`/v1/generations/${generation.id}`, key)
		expect(read.status).toBe(200)
		expect(await read.json()).toEqual(generation)
	})

	it('end up with pictures under URLs that expire', async () => {
		const { generation } = await submit()
		await develop(generation)
		const finished = Generation.parse(await (await get(`/v1/generations/${generation.id}`, key)).json())
		expect(finished).toMatchObject({ status: 'succeeded', metrics: { inference_ms: 3 }, images: [{ n: 0, size: 4 }] })
		expect(finished.images[0]!.url).toContain(`http://storage.test/darkroom/${generation.id}/1/0?`)
		expect(finished.images[0]).not.toHaveProperty('key')
	})

	it('are held until they end, where the client prefers to wait', async () => {
		const { generation } = await submit()
		const held = get(`/v1/generations/${generation.id}`, key, { prefer: 'wait=20' })
		await develop(generation)
		const answer = await held
		expect(answer.headers.get('preference-applied')).toBe('wait=20')
		expect(await answer.json()).toMatchObject({ status: 'succeeded' })
	})

	it('are answered as they are when the wait is over', async () => {
		const { answer, generation } = await submit(good, { prefer: 'wait=1' })
		expect(answer.status).toBe(202)
		expect(answer.headers.get('preference-applied')).toBe('wait=1')
		expect(generation.status).toBe('queued')
	})

	it('are answered where it cannot be noted that they were', async () => {
		const owner = await newAccount()
		const again = () => post('/v1/generations', owner.key, good, { 'idempotency-key': 'once' })
		const { id } = await (await again()).json<Generation>()
		await post(`/v1/generations/${id}/cancel`, owner.key, '')
		await runInDurableObject(env.ACCOUNT.getByName(owner.account), (_, { storage: { sql } }) =>
			sql.exec("CREATE TRIGGER broken BEFORE UPDATE OF seen_at ON generations BEGIN SELECT RAISE(ABORT, 'broken'); END")
		)
		const answer = await again()
		expect([answer.status, await answer.json()]).toMatchObject([200, { id, status: 'canceled' }])
	})

	it('are canceled while they wait, however often', async () => {
		const { generation } = await submit()
		const held = get(`/v1/generations/${generation.id}`, key, { prefer: 'wait=20' })
		const canceled = await post(`/v1/generations/${generation.id}/cancel`, key, '')
		expect(canceled.status).toBe(200)
		const ended = await canceled.json()
		expect(ended).toMatchObject({ id: generation.id, status: 'canceled', images: [] })
		expect(await (await held).json()).toEqual(ended)
		expect(await (await post(`/v1/generations/${generation.id}/cancel`, key, '')).json()).toEqual(ended)
		const work = { account, generation: generation.id, epoch: 1 }
		expect(await codeOf(await call(work, 'start', { run: 'run-one-one' }))).toBe('409 ended')
	})

	it('are listed page by page, newest first', async () => {
		const owner = await newAccount()
		const ids: string[] = []
		for (let i = 0; i < 5; i++) {
			ids.unshift((await (await post('/v1/generations', owner.key, good)).json<Generation>()).id)
		}
		await post(`/v1/generations/${ids[1]}/cancel`, owner.key, '')
		const list = async (query: string) => {
			const answer = await get(`/v1/generations?${query}`, owner.key)
			const { generations, next } = await answer.json<{ generations: Generation[]; next: string | null }>()
			return { ids: generations.map((generation) => Generation.parse(generation).id), next }
		}
		const first = await list('limit=2')
		expect(first).toEqual({ ids: ids.slice(0, 2), next: ids[1] })
		expect(await list(`limit=3&cursor=${first.next}`)).toEqual({ ids: ids.slice(2), next: null })
		expect(await list('status=canceled&model=scenes')).toEqual({ ids: [ids[1]], next: null })
		expect(await list('model=other')).toEqual({ ids: [], next: null })
		expect((await list('created_after=2001-01-01T00:00:00Z')).ids).toEqual(ids)
		expect((await list('created_before=2001-01-01T00:00:00Z')).ids).toEqual([])
		for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=x', 'status=done', 'created_after=now', 'order=up']) {
			expect(await codeOf(await get(`/v1/generations?${query}`, owner.key))).toBe('422 invalid-request')
		}
	})

	it('have pictures under an address that signs anew', async () => {
		const { generation } = await submit({ ...good, url_ttl: 7 * 86_400 })
		const at = `/v1/generations/${generation.id}/images/0`
		expect(await codeOf(await get(at, key))).toBe('404 not-found')
		await develop(generation)
		const answer = await get(at, key)
		expect([answer.status, answer.headers.get('cache-control')]).toEqual([302, 'private, no-store'])
		const location = answer.headers.get('location')!
		expect(location).toContain(`http://edge.test/outputs/${generation.id}/1/0.png?`)
		const lives = Number(new URL(location).searchParams.get('expires')) - Date.now() / 1_000
		expect(lives).toBeGreaterThan(604_700)
		// Who follows it may send the key along, as curl does within one origin.
		const picture = await get(location.replace('http://edge.test', ''), key)
		expect(Object.fromEntries(picture.headers)).toMatchObject({
			'content-disposition': `inline; filename="${generation.id}-0.png"`,
			'cache-control': 'private, max-age=86400, immutable',
			'x-content-type-options': 'nosniff',
			// A browser that has it of an image on a page elsewhere, for which it names no origin, hands it out to the page's script as well.
			'access-control-allow-origin': '*'
		})
		expect(await picture.text()).toBe('test')
		const look = (changes: Record<string, string>) => {
			const { pathname, searchParams } = new URL(location)
			return get(`${pathname}?${new URLSearchParams({ ...Object.fromEntries(searchParams), ...changes })}`, key)
		}
		expect((await look({})).status).toBe(200)
		for (const change of [{ token: '' }, { token: 'x' }, { expires: '9999999999' }]) {
			expect(await codeOf(await look(change))).toBe('404 not-found')
		}
		vi.setSystemTime(Date.now() + 7 * 86_400_000)
		onTestFinished(() => void vi.useRealTimers())
		expect(await codeOf(await look({}))).toBe('404 not-found')
		expect(await codeOf(await get(`/v1/generations/${generation.id}/images/-1`, key))).toBe('404 not-found')
		expect(await codeOf(await get(at, (await newAccount()).key))).toBe('404 not-found')
	})

	it('are forgotten when they are deleted, pictures included', async () => {
		const { generation } = await submit()
		await develop(generation)
		const at = `/v1/generations/${generation.id}`
		expect((await remove(at, key)).status).toBe(204)
		expect(await codeOf(await get(at, key))).toBe('404 not-found')
		expect(await codeOf(await remove(at, key))).toBe('404 not-found')
		await vi.waitFor(async () => expect(await env.BUCKET.head(`${generation.id}/1/0`)).toBeNull(), patience)
		const sql = <T>(query: string) =>
			runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) => storage.sql.exec(query, generation.id).one() as T)
		expect(JSON.stringify(await sql('SELECT * FROM generations WHERE id = ?'))).not.toContain(good.prompt)
		expect(await sql('SELECT key, size FROM pictures WHERE generation = ?')).toEqual({ key: `${generation.id}/1/0`, size: 4 })
	})

	it('are canceled when they are deleted before they end', async () => {
		const { generation } = await submit()
		const at = `/v1/generations/${generation.id}`
		await remove(at, key)
		const work = { account, generation: generation.id, epoch: 1 }
		expect(await codeOf(await call(work, 'start', { run: 'run-one-one' }))).toBe('409 ended')
	})

	it.each([
		[{ deadline: 0 }, '/deadline'],
		[{ deadline: 'soon' }, '/deadline'],
		[{ deadline: '2001-01-01T00:00:00Z' }, '/deadline'],
		[{ deadline: '2999-01-01T00:00:00Z' }, '/deadline'],
		[{ start_deadline: 0 }, '/start_deadline'],
		[{ start_deadline: 'soon' }, '/start_deadline'],
		[{ start_deadline: '2001-01-01T00:00:00Z' }, '/start_deadline'],
		[{ url_ttl: 604_801 }, '/url_ttl'],
		[{ priority: 'urgent' }, '/priority']
	])('are not accepted on terms that cannot be: %j', async (terms, pointer) => {
		const answer = await post('/v1/generations', key, { ...good, ...terms })
		expect(answer.status).toBe(422)
		expect(Problem.parse(await answer.json()).errors).toMatchObject([{ pointer }])
	})

	it.each([
		['not JSON', '{"model":', 'application/json', '400 malformed-json'],
		['nothing', '', 'application/json', '400 malformed-json'],
		['a form', 'model=scenes', 'application/x-www-form-urlencoded', '415 unsupported-media-type'],
		['over 20 mebibytes', `"${'x'.repeat(20 * 2 ** 20)}"`, 'application/json', '413 payload-too-large'],
		['null', 'null', 'application/json', '422 invalid-request'],
		['a model of the prototype', '{"model":"__proto__","prompt":"x"}', 'application/json', '422 unknown-model']
	])('refuses a body that is %s', async (_, body, type, expected) => {
		const answer = await post('/v1/generations', key, body, { 'content-type': type })
		expect(answer.headers.get('content-type')).toBe('application/problem+json')
		const problem = Problem.parse(await answer.clone().json())
		expect(problem.instance).toBe(answer.headers.get('x-request-id'))
		expect(await codeOf(answer)).toBe(expected)
	})

	it('reads bodies as UTF-8 and nothing else', async () => {
		const send = async (body: Uint8Array, type = 'application/json') => {
			const answer = await fetchEdge('/v1/generations', {
				method: 'POST',
				headers: { authorization: `Bearer ${key}`, 'content-type': type },
				body
			})
			return answer.ok ? (await answer.json<Generation>()).request.prompt : Problem.parse(await answer.json()).detail
		}
		const prompt = 'une sphère 😀'
		const utf8 = Buffer.from(JSON.stringify({ ...good, prompt }))
		expect(await send(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), utf8]))).toBe(prompt)
		expect(await send(Buffer.from(utf8.toString(), 'latin1'))).toBe('The body is not in UTF-8.')
		expect(await send(Buffer.from(utf8.toString(), 'utf16le'))).toBe('The body is not in UTF-8.')
		expect(await send(utf8, 'application/json; charset=utf-16')).toBe(
			'Expected content-type application/json in UTF-8, got application/json; charset=utf-16.'
		)
	})

	it.each([
		[{ seed: 2 ** 53 }, '/seed', 'at most 4294967295', '9007199254740992'],
		[{ output_quality: 0 }, '/output_quality', 'null: PNG loses nothing', '0'],
		[{ webhook: { url: 'https://example.com', events: ['x'] } }, '/webhook/events/0', /^"generation.started" or /, '"x"'],
		[{ webhook: { events: [] } }, '/webhook/url', 'string', 'nothing'],
		[{ webhook: 5 }, '/webhook', 'A URL, or { "url", "events" }', '5'],
		[{ model: 'scenes-layout', layout: [{ label: 0, box: [0.9, 0, 0.1, 1] }] }, '/layout/0/box', /x0 < x1/, '[0.9,0,0.1,1]'],
		[{ model: 'scenes-layout', layout: [{ label: 0, box: [0, 0, 1] }] }, '/layout/0/box', /x0 < x1/, '[0,0,1]'],
		// It is longer than a list of boxes may be.
		[{ model: 'scenes-layout', layout: '[{}]' }, '/layout', 'array', '"[{}]"']
	])('tells once what is wrong with a field, as narrowly as it can: %j', async (fields, pointer, expected, received) => {
		const { prompt, ...rest } = good
		const answer = await post('/v1/generations', key, { ...('layout' in fields ? rest : good), ...fields })
		const { errors } = Problem.parse(await answer.json())
		const at = errors!.filter((error) => error.pointer.startsWith(`/${Object.keys(fields).at(-1)}`))
		expect(at[0]).toMatchObject({
			pointer,
			received,
			expected: typeof expected === 'string' ? expected : expect.stringMatching(expected)
		})
		expect(at.filter((error) => error.pointer === pointer)).toHaveLength(1)
		expect(at[0]!.detail === 'The field is missing.').toBe(received === 'nothing')
	})

	it('refuses an endless body, of which it reads 52 MiB at most', async () => {
		let pulled = 0
		const body = new ReadableStream({
			pull(controller) {
				pulled++
				controller.enqueue(new Uint8Array(65_536))
			}
		})
		const answer = await fetchEdge('/v1/generations', {
			method: 'POST',
			headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
			body
		})
		expect(await codeOf(answer)).toBe('413 payload-too-large')
		expect(pulled * 65_536).toBeLessThan(53 * 1024 * 1024)
	})

	it('names every field at fault, and what its model allows', async () => {
		const answer = await post('/v1/generations', key, {
			...good,
			width: 100,
			steps: '25',
			seed: 2.5,
			'a/b~c': 1,
			prompt: '',
			sampler: 'lcm'
		})
		const { errors } = Problem.parse(await answer.json())
		expect(errors).toEqual(
			expect.arrayContaining([
				expect.objectContaining({ pointer: '/width', expected: 'a multiple of 32', received: '100' }),
				expect.objectContaining({ pointer: '/steps', expected: 'integer', received: '"25"' }),
				expect.objectContaining({ pointer: '/seed', expected: 'integer', received: '2.5' }),
				expect.objectContaining({
					pointer: '/sampler',
					expected: expect.stringContaining('"ddim" or "pndm"'),
					received: '"lcm"'
				}),
				expect.objectContaining({ pointer: '/prompt', expected: 'at least 1 character', received: '""' }),
				expect.objectContaining({ pointer: '/a~1b~0c', expected: expect.stringContaining('only model, task, prompt') })
			])
		)
		expect(errors).toHaveLength(6)
	})

	it('says what its model can do, where it is asked for something else, and takes null for nothing', async () => {
		const answer = await post('/v1/generations', key, { ...good, task: 'unconditional', class_label: 3, mask: null })
		const { errors } = Problem.parse(await answer.json())
		expect(errors).toMatchObject([
			{ pointer: '/task', expected: '"text-to-image" or "image-to-image" or "inpainting"', received: '"unconditional"' },
			{ pointer: '/class_label', detail: expect.stringContaining('which can do text-to-image, image-to-image, inpainting.') }
		])
	})

	it('refuses whoever has no genuine key, before any object wakes up', async () => {
		const before = (await listDurableObjectIds(env.ACCOUNT)).length
		const forged = key.replace(account, 't-nobody')
		for (const bearer of [undefined, 'x', forged, `${key}0`, env.ADMIN_TOKEN]) {
			const answer = await post('/v1/generations', bearer, good)
			expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
			expect(await codeOf(answer)).toBe('401 unauthorized')
		}
		expect(await listDurableObjectIds(env.ACCOUNT)).toHaveLength(before)
	})
})
