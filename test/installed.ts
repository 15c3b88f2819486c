import { spawnSync } from 'node:child_process'

/** Whether suites that need this program run: always in CI, elsewhere where it is installed. */
export function isInstalled(program: string): boolean {
	const found = Boolean(process.env.CI) || spawnSync('which', [program]).status === 0
	if (!found) {
		console.log(`skipped: no ${program}`)
	}
	return found
}
