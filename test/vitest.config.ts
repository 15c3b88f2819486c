import { defineConfig } from 'vitest/config'

export default defineConfig({
	test: {
		projects: [
			'edge/vitest.config.ts',
			{
				test: {
					name: 'node',
					include: ['{shared,worker-gpu,infra}/**/*.test.ts'],
					exclude: ['infra/model-kit/**'],
					testTimeout: 60_000
				}
			},
			{
				test: {
					name: 'e2e',
					include: ['test/**/*.test.ts'],
					// Each starts whole stacks; two at once would only slow one another down.
					fileParallelism: false,
					testTimeout: 90_000,
					hookTimeout: 90_000
				}
			}
		]
	}
})
