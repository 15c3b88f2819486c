import pg from 'pg'
import { expect, it } from 'vitest'
import { models } from '../../shared/catalog.ts'
import { mostConnections } from '../../shared/queue.ts'
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
