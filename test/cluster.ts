import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { preparePostgres } from '../infra/postgres.ts'

const name = 'postgres'

/** Makes a PostgreSQL cluster for the tests of this run, who copy it: that takes a tenth of the processor that another takes. What removes it. */
export async function makeCluster(): Promise<() => void> {
	const folder = mkdtempSync(join(tmpdir(), 'darkroom-cluster-'))
	await preparePostgres(join(folder, name), 1)
	process.env.CLUSTER_OF_THE_TESTS = folder
	return () => rmSync(folder, { recursive: true, force: true })
}

/** Where there is one, puts its copy into a folder for preparePostgres to find; gives its place there. */
export function layCluster(folder: string): string {
	const made = process.env.CLUSTER_OF_THE_TESTS
	if (made) {
		execFileSync('cp', ['-a', `${made}/.`, folder]) // PostgreSQL insists on the folder's permissions, which cpSync does not keep.
	}
	return join(folder, name)
}
