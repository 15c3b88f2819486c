import type { OpenAPIHono } from '@hono/zod-openapi'
import files from '../../dist/site.json'
import type { App } from '../app.ts'
import { sha256 } from '../hmac.ts'

/** The pages of edge/site. They load nothing from elsewhere but pictures from storage, and call nothing but this API. */
export const site = (app: OpenAPIHono<App>) => {
	for (const [path, { type, body }] of Object.entries(files)) {
		const etag = `"${sha256(body).slice(0, 32)}"`
		app.get(path, (c) => {
			const storage = new URL(c.var.env.S3_ENDPOINT).origin
			const headers = {
				etag,
				'cache-control': 'no-cache',
				'content-type': type,
				'x-content-type-options': 'nosniff',
				'referrer-policy': 'no-referrer',
				'content-security-policy': [
					"default-src 'none'",
					"script-src 'self'",
					"style-src 'self'",
					"connect-src 'self'",
					`img-src 'self' data: blob: ${storage}`,
					"base-uri 'none'",
					"form-action 'none'",
					"frame-ancestors 'none'"
				].join('; ')
			}
			const known = c.req.header('if-none-match')
			// RFC 9110, §13.1.2: any at all, or this one, be it called a weak one.
			const isKnown = known?.trim() === '*' || known?.includes(etag)
			return isKnown ? c.body(null, 304, headers) : c.body(body, 200, headers)
		})
		if (path !== '/' && type.startsWith('text/html')) {
			app.get(`${path}/`, (c) => c.redirect(path, 308))
		}
	}
}
