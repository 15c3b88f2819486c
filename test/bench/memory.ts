import { randomBytes } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'
import { freePort } from '../../infra/ports.ts'
import { startBareEdge } from '../edge.ts'
import { Inspector } from '../inspector.ts'

const mebibyte = 1024 * 1024
/** Bytes: the largest file that is taken, and the largest that fits beside it into a body in base64. */
const [largest, beside] = [10 * mebibyte, Math.floor(4.9 * mebibyte)]

interface Door {
	/** Bytes that come in. */
	size: number
	expected: number
	call(): Promise<Response>
}

/**
 * What large bodies and files take of the Worker's isolate at the peak, by the door that they come through: V8's heap and buffers, above those at rest.
 * Of many at once some may be told to come back; an isolate has 128 MB.
 */
export async function memory(): Promise<void> {
	const inspectorPort = await freePort()
	const edge = await startBareEdge({ inspectorPort })
	// Two accounts: of one, some would have to wait for others.
	const keys = [await edge.key('bench'), await edge.key('bench-too')]
	const doors = doorsOf(edge.url, keys)
	const inspector = await Inspector.connect(inspectorPort)
	for (const together of [1, 8]) {
		for (const [name, { size, expected, call }] of Object.entries(doors)) {
			const ask = async (isAlone = together === 1) => {
				const answer = await call()
				if (answer.status !== expected && (isAlone || answer.status !== 503)) {
					throw new Error(`${name}: expected ${expected}, got ${answer.status}: ${(await answer.text()).slice(0, 400)}`)
				}
				await answer.body?.cancel()
			}
			await ask(true)
			const { rest, more } = await inspector.peakOf(
				() => Promise.all(Array.from({ length: together }, () => ask())),
				() => fetch(`${edge.url}/health`)
			)
			const [each, above, before] = [size, more, rest].map((bytes) => `${(bytes / mebibyte).toFixed(1).padStart(5)} MiB`)
			console.log(`  ${`${together} × ${name}`.padEnd(28)} of ${each}: ${above} above ${before} at rest`)
		}
	}
	inspector.close()
	await edge.close()
}

/** A small PNG of `size` bytes: the rest is a chunk that decoders pass over. */
function png(size: number): Uint8Array<ArrayBuffer> {
	const chunk = (type: string, data: Buffer) => {
		const body = Buffer.concat([Buffer.from(type), data])
		const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
		length.writeUInt32BE(data.length)
		sum.writeUInt32BE(crc32(body))
		return Buffer.concat([length, body, sum])
	}
	const header = Buffer.from([0, 0, 0, 64, 0, 0, 0, 64, 8, 0, 0, 0, 0])
	const ends = [
		Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
		chunk('IHDR', header),
		chunk('IDAT', deflateSync(Buffer.alloc(64 * 65))),
		chunk('IEND', Buffer.alloc(0))
	]
	const rest = size - ends.reduce((sum, { length }) => sum + length, 0) - 12
	return new Uint8Array(Buffer.concat([...ends.slice(0, 3), chunk('teSt', randomBytes(rest)), ends[3]!]))
}

function doorsOf(url: string, keys: readonly string[]): Record<string, Door> {
	let calls = 0
	const key = () => keys[calls++ % keys.length]
	const file = png(largest)
	const other = png(beside)
	const uri = (bytes: Uint8Array) => `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`
	const order = { model: 'scenes', prompt: 'a red sphere', steps: 5 }
	const json = (path: string, body: object, expected: number, more: Record<string, string> = {}): Door => {
		const text = JSON.stringify(body)
		const call = () => {
			const headers = { authorization: `Bearer ${key()}`, 'content-type': 'application/json', ...more }
			return fetch(url + path, { method: 'POST', headers, body: text })
		}
		return { size: text.length, expected, call }
	}
	const form = (path: string, fields: Record<string, string | Uint8Array<ArrayBuffer>>, expected: number): Door => ({
		size: Object.values(fields).reduce((sum, { length }) => sum + length, 0),
		expected,
		call() {
			const body = new FormData()
			for (const [name, value] of Object.entries(fields)) {
				body.set(name, typeof value === 'string' ? value : new File([value], 'a.png'))
			}
			return fetch(url + path, { method: 'POST', headers: { authorization: `Bearer ${key()}` }, body })
		}
	})
	return {
		'order, a data: URI': json('/v1/generations', { ...order, image: uri(file) }, 202),
		'order, two data: URIs': json('/v1/generations', { ...order, image: uri(file), mask: uri(other) }, 202),
		'openai: an edit, form': form('/openai/v1/images/edits', { ...order, steps: '5', image: file, stream: 'true' }, 200),
		'openai: an edit, JSON': json('/openai/v1/images/edits', { ...order, images: [{ image_url: uri(file) }], stream: true }, 200),
		'openai: a file': form('/openai/v1/files', { file, purpose: 'vision' }, 200),
		'replicate: a file': form('/replicate/v1/files', { content: file }, 201),
		'replicate: a data: URI': json(
			'/replicate/v1/predictions',
			{ version: 'darkroom/scenes', input: { prompt: 'x', image: uri(file) } },
			201
		),
		'fal: a data: URI': json('/fal/queue/darkroom/scenes', { prompt: 'x', image_url: uri(file) }, 200),
		'fal: a file': {
			size: largest,
			expected: 200,
			async call() {
				const headers = {
					authorization: `Key ${key()}`,
					'content-type': 'application/json',
					'x-fal-target-url': 'https://rest.fal.ai/storage/upload/initiate'
				}
				const answer = await fetch(`${url}/fal/proxy`, { method: 'POST', headers, body: '{"content_type":"image/png"}' })
				const { upload_url } = (await answer.json()) as { upload_url: string }
				return fetch(upload_url, { method: 'PUT', body: file })
			}
		}
	}
}
