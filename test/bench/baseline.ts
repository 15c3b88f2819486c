/** What `npm run bench -- edge` compares with: an object that does nothing but a transaction of four rows, and a route that does nothing. */
import { DurableObject } from 'cloudflare:workers'
import { Hono } from 'hono'

interface Bindings {
	ROWS: DurableObjectNamespace<Rows>
}

export class Rows extends DurableObject {
	constructor(ctx: DurableObjectState, env: object) {
		super(ctx, env as Cloudflare.Env)
		ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, request TEXT, at INTEGER)')
	}

	async write(request: string): Promise<number> {
		return this.ctx.storage.transactionSync(() => {
			for (let i = 0; i < 4; i++) {
				this.ctx.storage.sql.exec('INSERT INTO rows (request, at) VALUES (?, ?)', request, Date.now())
			}
			return Date.now()
		})
	}
}

const app = new Hono<{ Bindings: Bindings }>()
app.post('/rows/:name', async (c) => {
	const request = await c.req.json()
	const at = await c.env.ROWS.getByName(c.req.param('name')).write(JSON.stringify(request))
	return c.json({ ...request, at }, 202)
})
app.post('/bare', async (c) => c.json(await c.req.json(), 200))
export default app
