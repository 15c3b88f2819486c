import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { outputAt } from './outputs.ts'
import { problem } from './responses.ts'

const PictureNumber = z
	.string()
	.regex(/^\d{1,2}$/)
	.transform(Number)
	.openapi({ type: 'integer' })

const route = createRoute({
	method: 'get',
	path: '/v1/generations/{id}/images/{n}',
	summary: 'A delivered picture, under a URL that is signed anew',
	middleware: [withKey] as const,
	request: { params: z.object({ id: GenerationId, n: PictureNumber }) },
	responses: {
		302: { description: 'To the signed URL', headers: z.object({ location: z.url() }) },
		401: problem('unauthorized'),
		404: problem('not-found: also while it is not delivered')
	}
})

export const getImage = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const { id, n } = c.req.valid('param')
		const { images, url_ttl } = unwrap(await env.ACCOUNT.getByName(key.account).read(key.hash, id))
		const picture = images.find((image) => image.n === n)
		if (!picture) {
			throw new ProblemError({ code: 'not-found', detail: `${id} has no delivered picture ${n}.` })
		}
		c.header('cache-control', 'private, no-store')
		return c.redirect(outputAt(env, picture.key, picture.content_type, Date.now() + url_ttl * 1_000), 302)
	})
