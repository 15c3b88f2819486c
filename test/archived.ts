import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { buildEdge } from '../infra/build.ts'
import { startEdge } from '../infra/edge.ts'
import { freePort } from '../infra/ports.ts'
import type { Archive } from '../shared/contract/archive.ts'
import { type BareEdge, secrets, startBareEdge } from './edge.ts'

const day = 86_400_000

/**
 * A bare edge, and the key of an account with an archive of one order: it was made some days older while the edge was down. A picture of 1,410 micro-units was charged
 * on the first of January 2020.
 */
export async function startArchivedEdge(name: string): Promise<{ edge: BareEdge; key: string }> {
	const dataDir = mkdtempSync(join(tmpdir(), 'darkroom-'))
	await buildEdge()
	const before = await startEdge({
		port: await freePort(),
		dataDir,
		secrets: { ...secrets, QUEUE_URL: 'postgres://127.0.0.1:1/none' }
	})
	const call = async <T>(url: string, token: string, body?: object): Promise<T> => {
		const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
		return (await (await fetch(url, { headers, ...(body && { method: 'POST', body: JSON.stringify(body) }) })).json()) as T
	}
	const admin = `${before.url}/v1/admin/accounts/${name}`
	await call(`${admin}/credits`, secrets.ADMIN_TOKEN, { amount: 1_000_000_000, reference: 'the tests' })
	const { key } = await call<{ key: string }>(`${admin}/keys`, secrets.ADMIN_TOKEN, { name: 'test' })
	const { id } = await call<{ id: string }>(`${before.url}/v1/generations`, key, { model: 'scenes', prompt: 'a red sphere' })
	await call(`${before.url}/v1/generations/${id}/cancel`, key, {})
	await before.close()

	for (const file of readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.sqlite'))) {
		const database = new DatabaseSync(join(dataDir, file))
		if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'archives'").get()) {
			const then = Date.now() - 40 * day
			database.exec(`
				UPDATE generations SET created_at = ${then}, completed_at = ${then};
				DELETE FROM due;
				INSERT INTO due (kind, subject, at) VALUES ('archive', 'books', 0);
				INSERT INTO usage (day, key, model, pictures, amount) SELECT '2020-01-01', hash, 'scenes', 1, 1410 FROM keys;
			`)
		}
		database.close()
	}
	const edge = await startBareEdge({ dataDir })
	for (let archives: Archive[] = []; archives.length === 0; ) {
		;({ archives } = await call<{ archives: Archive[] }>(`${edge.url}/v1/archives`, key))
	}
	const close = () => edge.close().finally(() => rmSync(dataDir, { recursive: true, force: true }))
	return { edge: { ...edge, close }, key }
}
