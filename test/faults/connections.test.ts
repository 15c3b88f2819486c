import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, it } from 'vitest'
import { freePort } from '../../infra/ports.ts'
import { models } from '../../shared/catalog.ts'
import { mostConnections, openConsumer, openProducer, type Producer } from '../../shared/queue.ts'
import { postgresServer, redisServer, withRedis } from '../queues.ts'

/** Of the edge (edge/dispatcher). */
const producers = 4

it('the embedded PostgreSQL has a connection for everyone, with all models busy at once', async () => {
	const server = await postgresServer()
	await server.start()
	const clients = Array.from({ length: mostConnections * (models.length + producers) }, () => new pg.Client(server.url))
	try {
		const connected = await Promise.allSettled(clients.map((client) => client.connect()))
		expect(connected.filter(({ status }) => status === 'rejected')).toEqual([])
	} finally {
		await Promise.allSettled(clients.map((client) => client.end()))
		await server.remove()
	}
})

it('a connection that is lost while the schema is made fails that, and nothing else', async () => {
	// Lets everyone sign in, and ends with the first query.
	await through(
		(client, onward) => {
			client.on('data', (bytes) => (bytes.toString('latin1', 0, 1) === 'Q' ? client.destroy() : onward.write(bytes)))
			onward.pipe(client)
		},
		async (url) => {
			const producer = openProducer(url)
			await expect(producer.prepare()).rejects.toThrow('Connection terminated')
			await producer.close()
		}
	)
})

it('a connection that the server ends when nobody has asked it anything yet fails who opened it, and nothing else', async () => {
	const fields = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'
	const length = Buffer.alloc(4)
	length.writeInt32BE(fields.length + 4)
	const fatal = Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)])
	const readyForQuery = Buffer.from('Z\0\0\0\x05I')
	await through(
		(client, onward) => {
			client.pipe(onward)
			onward.on('data', (bytes) => {
				const isReady = bytes.subarray(-readyForQuery.length).equals(readyForQuery)
				client.write(isReady ? Buffer.concat([bytes, fatal]) : bytes)
			})
		},
		async (url) => {
			const consumer = openConsumer(url)
			const worker = consumer.worker('model', async () => {}, {})
			worker.on('error', () => {})
			await expect(worker.waitUntilReady()).rejects.toThrow()
			await worker.close(true)
			await consumer.close()
		}
	)
})

it.runIf(withRedis)('a Redis whose certificate nobody trusts fails who connects, and nothing else', async () => {
	const server = await redisServer({ tls: true })
	await server.start()
	for (let connection = 0; connection < 3; connection++) {
		const consumer = openConsumer(server.url)
		const worker = consumer.worker('model', async () => {}, {}).on('error', () => {})
		const [error] = await once(worker, 'error', { signal: AbortSignal.timeout(20_000) })
		expect(error.message).toMatch('self-signed certificate')
		// While its other connection shakes hands.
		await worker.close(true)
		await consumer.close()
		await sleep(200)
	}
	await server.remove()
})

it.runIf(withRedis)('a database that Redis does not have fails who writes there, and nothing lands in another', async () => {
	const server = await redisServer()
	await server.start()
	const job = { generation: 'gen_1', epoch: 1, callback: 'http://127.0.0.1/', token: '' }
	const [none, second, first] = ['/99', '/1', ''].map((database) => openProducer(server.url + database)) as [
		Producer,
		Producer,
		Producer
	]
	await expect(none.add('model', [{ job, place: 1, isRaised: false }])).rejects.toThrow('out of range')
	await second.add('model', [{ job, place: 1, isRaised: false }])
	expect([await second.waiting('model', 9), await first.waiting('model', 9)]).toEqual([['gen_1.1'], []])
	await Promise.all([none, second, first].map((producer) => producer.close()))
	await server.remove()
})

/** Work with a PostgreSQL behind a door. */
async function through(door: (client: Socket, onward: Socket) => void, work: (url: string) => Promise<void>): Promise<void> {
	const server = await postgresServer()
	await server.start()
	const url = new URL(server.url)
	const target = Number(url.port)
	const listener = createServer((client) => {
		const onward = connect(target, '127.0.0.1')
		client.once('close', () => onward.destroy())
		for (const socket of [client, onward]) {
			socket.on('error', () => {})
		}
		door(client, onward)
	})
	url.port = String(await freePort())
	await new Promise<void>((resolve) => listener.listen(Number(url.port), '127.0.0.1', resolve))
	try {
		await work(url.href)
	} finally {
		listener.close()
		await server.remove()
	}
}
