import { type Endpoint, type EndpointChange, type EndpointRequest, EventName } from '../../../shared/contract/webhooks.ts'
import { newId } from '../../../shared/ids.ts'
import { ProblemError } from '../../errors.ts'
import { describe } from '../../issues.ts'
import { refuse } from '../../refuse.ts'

/** Each is told of every generation, so there cannot be many. */
const mostEndpoints = 20

interface Row extends Record<string, SqlStorageValue> {
	id: string
	url: string
	events: string
	enabled: number
	created_at: number
}

/** The places that are told of all the account's generations. */
export class Endpoints {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	list(): Endpoint[] {
		return this.#sql.exec<Row>('SELECT * FROM endpoints ORDER BY id').toArray().map(endpointOf)
	}

	read(id: string): Endpoint {
		const row = this.#sql.exec<Row>('SELECT * FROM endpoints WHERE id = ?', id).toArray()[0]
		if (!row) {
			throw new ProblemError({ code: 'not-found', detail: `This account has no webhook ${id}.` })
		}
		return endpointOf(row)
	}

	/** A URL that is here already stays one: its messages would come twice, under ids of their own. */
	add({ url, events }: EndpointRequest, now: number): Endpoint {
		const endpoints = this.list()
		const known = endpoints.find((endpoint) => isSame(endpoint.url, url))
		if (known) {
			return this.change(known.id, { events, enabled: true })
		}
		if (endpoints.length >= mostEndpoints) {
			throw new ProblemError({ code: 'too-many-webhooks', detail: `Expected at most ${mostEndpoints}; delete one first.` })
		}
		const id = newId('wh', now)
		const values = [id, url, JSON.stringify(unique(events)), now]
		this.#sql.exec('INSERT INTO endpoints (id, url, events, enabled, created_at) VALUES (?, ?, ?, 1, ?)', ...values)
		return this.read(id)
	}

	change(id: string, change: EndpointChange): Endpoint {
		const before = this.read(id)
		const { url = before.url, events = before.events, enabled = before.enabled } = change
		if (change.url !== undefined && this.list().some((other) => other.id !== id && isSame(other.url, url))) {
			refuse('/url', 'a URL that no other webhook has', describe(url))
		}
		const values = [url, JSON.stringify(unique(events)), Number(enabled), id]
		this.#sql.exec('UPDATE endpoints SET url = ?, events = ?, enabled = ? WHERE id = ?', ...values)
		return this.read(id)
	}

	remove(id: string): void {
		this.read(id)
		this.#sql.exec('DELETE FROM endpoints WHERE id = ?', id)
	}

	subscribed(event: EventName): Endpoint[] {
		return this.list().filter(({ enabled, events }) => enabled && events.includes(event))
	}
}

/** Whether two URLs are the same where they are called, as `https://example.com` and `HTTPS://Example.com:443/` are. */
export const isSame = (one: string, other: string): boolean => new URL(one).href === new URL(other).href

const unique = (events: EventName[]) => EventName.options.filter((event) => events.includes(event))

const endpointOf = ({ id, url, events, enabled, created_at }: Row): Endpoint => ({
	id,
	url,
	events: JSON.parse(events),
	enabled: enabled === 1,
	created_at: new Date(created_at).toISOString()
})
