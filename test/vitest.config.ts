import { defineConfig } from 'vitest/config'

/** Whole stacks on a shared machine: what fails once and passes at once again is told, and does not stop a landing. */
const retry = process.env.CI ? 1 : 0

export default defineConfig({
	test: {
		projects: [
			'edge/vitest.config.ts',
			{
				test: {
					name: 'node',
					include: ['{shared,worker-gpu,infra}/**/*.test.ts'],
					exclude: ['infra/model-kit/**'],
					testTimeout: 60_000,
					retry
				}
			},
			{
				test: {
					name: 'e2e',
					include: ['test/**/*.test.ts'],
					// Each starts whole stacks; two at once would only slow one another down.
					fileParallelism: false,
					testTimeout: 90_000,
					retry,
					hookTimeout: 90_000
				}
			}
		]
	}
})
