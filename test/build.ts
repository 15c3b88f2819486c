import { buildEdge } from '../infra/build.ts'
import { makeCluster } from './cluster.ts'

/** Before the first suite: those that run beside each other would all begin with it. */
export async function setup(): Promise<() => void> {
	await buildEdge()
	return makeCluster()
}
