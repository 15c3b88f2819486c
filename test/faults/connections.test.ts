import { connect, createServer } from 'node:net'
import pg from 'pg'
import { expect, it } from 'vitest'
import { freePort } from '../../infra/ports.ts'
import { models } from '../../shared/catalog.ts'
import { mostConnections, openProducer } from '../../shared/queue.ts'
import { postgresServer } from '../queues.ts'

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
	const server = await postgresServer()
	await server.start()
	const url = new URL(server.url)
	const target = Number(url.port)
	// Lets everyone sign in, and ends with the first query.
	const door = createServer((client) => {
		const onward = connect(target, '127.0.0.1')
		client.on('data', (bytes) => (bytes.toString('latin1', 0, 1) === 'Q' ? client.destroy() : onward.write(bytes)))
		client.once('close', () => onward.destroy())
		onward.pipe(client)
	})
	const port = await freePort()
	await new Promise<void>((resolve) => door.listen(port, '127.0.0.1', resolve))
	url.port = String(port)
	const producer = openProducer(url.href)
	try {
		await expect(producer.prepare()).rejects.toThrow('Connection terminated')
	} finally {
		await producer.close()
		door.close()
		await server.remove()
	}
})
