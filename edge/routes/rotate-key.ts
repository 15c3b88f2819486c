import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { KeyId } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { doors, pathOf } from '../caller.ts'
import { unwrap } from '../errors.ts'
import { sha256 } from '../hmac.ts'
import { mintKey } from '../keys.ts'
import { MadeKey } from './create-key.ts'
import { json, problem } from './responses.ts'

/** Seconds: a day, and at most thirty. */
const Overlap = z.int().min(0).max(2_592_000).default(86_400)

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'post',
		path: `${door.base}/keys/{id}/rotate`,
		summary: `Make a new key like an old one ${door.whose}; the old one stays valid for \`overlap\` seconds more`,
		middleware: [door.enter, limitBody] as const,
		request: {
			params: pathOf(door, { id: KeyId }),
			body: { required: true, content: { 'application/json': { schema: z.strictObject({ overlap: Overlap }) } } }
		},
		responses: {
			201: json(MadeKey, 'The new key. Its text is not shown again'),
			401: problem('unauthorized'),
			404: problem('not-found: also when it is not valid any more'),
			409: problem('too-many-keys: the old one counts while it stays valid')
		}
	})

export const rotateKey = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const { id } = c.req.valid('param')
			const key = mintKey(env.DARKROOM_SECRET, caller.account)
			const overlap = c.req.valid('json').overlap * 1_000
			const made = unwrap(await env.ACCOUNT.getByName(caller.account).rotateKey(caller, id, sha256(key), overlap))
			return c.json({ ...made, account: caller.account, key }, 201)
		})
	}
}
