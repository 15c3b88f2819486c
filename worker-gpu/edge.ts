import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
	type FinishCall,
	type ImageCall,
	ProgressAnswer,
	type ProgressCall,
	StartAnswer,
	UploadAnswer,
	type UploadCall
} from '../shared/contract/callbacks.ts'
import type { Job } from '../shared/queue.ts'
import { EdgeRefused, RequestUnknown } from './edge-errors.ts'
import { edge, insist, storage, textOf } from './insist.ts'

/** What a node may say to the edge about one generation and epoch; see shared/contract/callbacks.ts. */
export interface Edge {
	/** Throws `RequestUnknown` where it is granted work that it does not understand. */
	start(run: string): Promise<StartAnswer>
	/** Answers whether anyone would see previews. */
	progress(call: z.input<typeof ProgressCall>): Promise<boolean>
	/** Keeps the rows for whoever is granted the work next. */
	checkpoint(rows: Uint8Array<ArrayBuffer>): Promise<void>
	/** Gives the work back: it is queued again at once. */
	handBack(): Promise<void>
	/** The bytes behind a signed URL of ours. */
	read(url: string, mostBytes: number): Promise<Uint8Array>
	upload(call: z.input<typeof UploadCall>): Promise<UploadAnswer>
	/** Puts the bytes where `upload` said. Resolves too when they are there already. */
	put(place: UploadAnswer, bytes: Uint8Array<ArrayBuffer>): Promise<void>
	image(call: z.input<typeof ImageCall>): Promise<void>
	finish(call: FinishCall): Promise<void>
}

/** What is to be read of most answers: they may say more one day. */
const Nothing = z.object({})

/** Milliseconds that one attempt at a call may take. */
const CALL_TIMEOUT = 5_000
/** Milliseconds without so many bytes more that end an attempt at reading: files are large, and ways slow, but what trickles may not hold a place for days. */
const READ_SILENCE = 30_000
const READ_STEP = 65_536
/** Longer for more bytes, at 400 kbit/s: a slow way to storage is one all the same. */
const putTimeout = ({ length }: Uint8Array) => 30_000 + Math.ceil(length / 50)
/** Milliseconds that a call is attempted again for: as long as a lease lasts, until `start` has told how long that is. */
const PATIENCE = 15_000

/** @param signal ends every call and every wait between attempts */
export function openEdge({ callback, token }: Job, signal: AbortSignal): Edge {
	let patience = PATIENCE

	/** What is no answer of the contract's comes from something between, and is asked for again. */
	const post = <Answer>(name: string, body: unknown, answer: z.ZodType<Answer>) =>
		send(name, JSON.stringify(body), 'application/json', CALL_TIMEOUT, answer)
	const send = <Answer>(
		name: string,
		body: string | Uint8Array<ArrayBuffer>,
		type: string,
		timeout: number,
		answer: z.ZodType<Answer>
	): Promise<Answer> => {
		const url = `${callback}/${name}`
		return insist({
			name,
			url,
			callee: edge,
			patience,
			signal,
			attempt: () =>
				fetch(url, {
					method: 'POST',
					headers: { authorization: `Bearer ${token}`, 'content-type': type },
					body,
					redirect: 'manual',
					signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)])
				}),
			take: async (response) => answer.parse(JSON.parse(await textOf(response)))
		})
	}

	return {
		async start(run) {
			const answer = StartAnswer.safeParse(await post('start', { run }, z.looseObject({})))
			if (!answer.success) {
				const [{ path, message }] = answer.error.issues as [z.core.$ZodIssue]
				throw new RequestUnknown(`expected work that this version knows, got another ${path.join('.')} (${message})`)
			}
			patience = answer.data.lease
			return answer.data
		},
		async progress(call) {
			return (await post('progress', call, ProgressAnswer)).watched
		},
		async checkpoint(rows) {
			await send('checkpoint', rows, 'application/octet-stream', putTimeout(rows), Nothing)
		},
		async handBack() {
			await post('yield', {}, Nothing)
		},
		async read(url, mostBytes) {
			let silence: NodeJS.Timeout | undefined
			const attempt = () => {
				const stalled = new AbortController()
				clearTimeout(silence)
				silence = setTimeout(
					() => stalled.abort(new Error(`less than ${READ_STEP} bytes came in ${READ_SILENCE / 1000} s`)),
					READ_SILENCE
				)
				return fetch(url, { redirect: 'manual', signal: AbortSignal.any([signal, stalled.signal]) })
			}
			const take = async ({ body, headers }: Response) => {
				const chunks: Uint8Array[] = []
				let left = mostBytes
				let expected = mostBytes - READ_STEP
				for await (const chunk of body ?? []) {
					left -= chunk.byteLength
					if (left <= expected) {
						expected = left - READ_STEP
						silence?.refresh()
					}
					if (left < 0) {
						// That cancels the rest.
						throw new EdgeRefused('read', 413, 'too-large', `expected at most ${mostBytes} bytes`)
					}
					chunks.push(chunk)
				}
				const bytes = Buffer.concat(chunks)
				// That of R2 for what was written as a whole, as all of ours is. Something between may cut it short, and frame it anew.
				const [, md5] = /^"([0-9a-f]{32})"$/.exec(headers.get('etag') ?? '') ?? []
				if (md5 !== undefined && md5 !== createHash('md5').update(bytes).digest('hex')) {
					throw new Error(`${bytes.length} bytes that are not those of the ETag`)
				}
				return bytes
			}
			try {
				return await insist({ name: 'read', url, callee: storage, patience, signal, attempt, take })
			} finally {
				clearTimeout(silence)
			}
		},
		upload: (call) => post('upload', call, UploadAnswer),
		async put({ url, headers }, bytes) {
			if (!/^https?:/.test(url)) {
				throw new EdgeRefused('upload', 200, 'bad-url', `expected an http(s) URL to put to, got ${new URL(url).protocol}//`)
			}
			await insist({
				name: 'put',
				url,
				callee: storage,
				patience,
				signal,
				attempt: () =>
					fetch(url, {
						method: 'PUT',
						headers,
						body: bytes,
						redirect: 'manual',
						signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeout(bytes))])
					}),
				take: textOf
			})
		},
		async image(call) {
			await post('image', call, Nothing)
		},
		async finish(call) {
			await post('finish', call, Nothing)
		}
	}
}
