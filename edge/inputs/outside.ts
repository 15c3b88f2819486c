import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
	interface ProvidedContext {
		/** Origin of a server on this machine, which behaves as servers outside may. */
		outside: string
		/** Files of 60 × 40 pixels upright, in base64. */
		files: Record<string, string>
	}
}

/** Set up in Node.js before the tests run in workerd. */
export default async function setup({ provide }: TestProject): Promise<() => void> {
	const files = await makeFiles()
	const server = createServer(({ url }, response) => answer(response, new URL(url!, 'http://outside'), files))
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	provide('outside', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
	provide('files', files)
	return () => {
		server.closeAllConnections()
		server.close()
	}
}

async function makeFiles(): Promise<Record<string, string>> {
	const draw = (width = 60, height = 40) => sharp({ create: { width, height, channels: 3, background: '#c03020' } })
	const onItsSide = () => draw(40, 60).withMetadata({ orientation: 6 })
	const made = {
		'plain.png': draw().png(),
		'plain.jpg': draw().jpeg(),
		'progressive.jpg': draw().jpeg({ progressive: true }),
		'lossy.webp': draw().webp(),
		'lossless.webp': draw().webp({ lossless: true }),
		'plain.gif': draw().gif(),
		'plain.avif': draw().avif({ effort: 0 }),
		'on-its-side.png': onItsSide().png(),
		'on-its-side.jpg': onItsSide().jpeg(),
		'on-its-side.webp': onItsSide().webp(),
		'on-its-side.avif': onItsSide().avif({ effort: 0 }),
		'profiled.jpg': draw().withIccProfile('p3').jpeg(),
		'mask.png': draw(30, 20).png()
	}
	const bytes = Object.entries(made).map(async ([name, file]) => [name, (await file.toBuffer()).toString('base64')])
	return Object.fromEntries(await Promise.all(bytes))
}

function answer(response: ServerResponse, { pathname, searchParams }: URL, files: Record<string, string>): void {
	const name = pathname.slice(1)
	switch (name) {
		case 'redirect':
			response.writeHead(302, { location: searchParams.get('to')! }).end()
			break
		case 'loop':
			response.writeHead(302, { location: '/loop' }).end()
			break
		case 'silent':
			break
		case 'stalling':
			response.write(Buffer.from(files['plain.png']!, 'base64').subarray(0, 40))
			break
		case 'endless':
			pour(response)
			break
		case 'bomb':
			response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(64 * 1024 * 1024)))
			break
		case 'page':
			response.writeHead(200, { 'content-type': 'image/png' }).end('<html><body>not a picture</body></html>')
			break
		default:
			files[name] ? response.end(Buffer.from(files[name], 'base64')) : response.writeHead(404).end()
	}
}

/** As fast as it is read, until the reader has had enough. */
function pour(response: ServerResponse): void {
	const chunk = Buffer.alloc(65_536)
	const go = () => {
		while (!response.destroyed && response.write(chunk)) {}
	}
	response.on('drain', go)
	go()
}
