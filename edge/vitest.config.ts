import { builtinModules } from 'node:module'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { freePort } from '../infra/ports.ts'
import { buildSite } from '../infra/site.ts'

await buildSite()
// Of test/receivers.ts, which starts later.
process.env.RECEIVERS_PORT ??= String(await freePort())

export default defineConfig({
	root: import.meta.dirname,
	cacheDir: '../node_modules/.vite/edge',
	plugins: [
		cloudflareTest({
			wrangler: { configPath: '../wrangler.toml' },
			miniflare: {
				cf: false, // Otherwise it is fetched from the internet.
				ratelimits: { FLOOD: { namespace_id: '1001', simple: { limit: 20, period: 60 } } },
				bindings: {
					PUBLIC_ORIGIN: 'http://edge.test',
					S3_ENDPOINT: 'http://storage.test',
					ALLOW_LOCAL_URLS: true,
					STRIPE_API_KEY: 'sk_test_of_the_tests',
					STRIPE_API_URL: `http://127.0.0.1:${process.env.RECEIVERS_PORT}`,
					// Nobody listens there: due rows stay due, and are tried again.
					QUEUE_URL: 'postgres://127.0.0.1:1/nobody',
					DARKROOM_SECRET: 'a root secret that is used in tests alone',
					ADMIN_TOKEN: 'an-admin-token-for-tests',
					S3_ACCESS_KEY_ID: 'test',
					S3_SECRET_ACCESS_KEY: 'test-secret'
				}
			}
		})
	],
	test: {
		name: 'edge',
		include: ['**/*.test.ts'],
		globalSetup: ['inputs/outside.ts', '../test/receivers.ts'],
		// The first call waits until the Worker is loaded, an eviction until the unreachable queue is given up.
		testTimeout: 60_000,
		hookTimeout: 60_000,
		retry: process.env.CI ? 1 : 0, // As in test/vitest.config.ts.
		isolate: false,
		provide: { interleavings: Number(process.env.INTERLEAVINGS ?? 1_000) },
		deps: {
			optimizer: {
				// Bundled first: loading these file by file takes seconds, and the plugin takes the package `debug`, which ioredis
				// requires, for ioredis's own debug.js.
				ssr: {
					enabled: true,
					// Hono whole, or there would be two of it, one inside the bundle of zod-openapi.
					include: [
						'@hono/zod-openapi',
						'aws4fetch',
						'bullmq',
						'hono',
						'hono/body-limit',
						'hono/factory',
						'hono/http-exception',
						'ioredis',
						'ioredis/built/connectors/index.js',
						'pg',
						'standardwebhooks',
						'stripe',
						'zod'
					],
					rolldownOptions: { external: [/^node:/, /^cloudflare:/, ...builtinModules] }
				}
			}
		}
	}
})
