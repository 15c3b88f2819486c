import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type Reporter, type TestSpecification } from 'vitest/node'

/** Whole stacks on a shared machine: what fails once and passes at once again is told, and does not stop a landing. */
const retry = process.env.CI ? 1 : 0
/** Milliseconds, as patient as all else: one second is short where a stack starts beside. */
const poll = { timeout: 30_000 }
// Of all projects. Whole stacks wait much and compute at times: four files at once keep two cores at work.
process.env.VITEST_MAX_WORKERS ??= String(Math.max(4, availableParallelism() >> 1))
// Each file starts processes that load what others have loaded: compiled once, they start in two thirds of the time.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../node_modules/.cache/node')
// A node at rest measures its sizes, with all cores: a dozen stacks would do so beside each other's tests. Some of it is tested in test/e2e/generation.test.ts.
process.env.BATCH_LIMITS ??= 'guessed'

/** By their length, as vitest does where it has not seen them run, but for a short file of a minute and a half's waiting, which would come last and be alone. */
class Order extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const waits = ({ moduleId }: TestSpecification) => Number(moduleId.endsWith('engine/hung.test.ts'))
		return (await super.sort(files)).toSorted((a, b) => waits(b) - waits(a))
	}
}

/** Why the first try of a test failed that passed at the second: vitest says only that there was one. */
const firstTries: Reporter = {
	onTestCaseResult(test) {
		const { state, errors = [] } = test.result()
		if (state === 'passed') {
			for (const { stack, diff = '' } of errors) {
				console.log(`failed at first: ${test.fullName}\n${stack}\n${diff}`)
			}
		}
	}
}

export default defineConfig({
	test: {
		reporters: ['default', firstTries],
		sequence: { sequencer: Order },
		projects: [
			'edge/vitest.config.ts',
			{
				test: {
					name: 'node',
					include: ['{shared,worker-gpu,infra}/**/*.test.ts'],
					exclude: ['infra/model-kit/**'],
					// A process for each file takes a third of a second of the processor, and there are seventy.
					isolate: false,
					unstubGlobals: true,
					testTimeout: 60_000,
					expect: { poll },
					hookTimeout: 60_000,
					retry
				}
			},
			{
				test: {
					name: 'e2e',
					include: ['test/**/*.test.ts'],
					globalSetup: ['test/build.ts'],
					testTimeout: 90_000,
					expect: { poll },
					retry,
					hookTimeout: 90_000
				}
			}
		]
	}
})
