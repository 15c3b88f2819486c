import { isAlive } from '../../test/processes.ts'
import type { Engine } from './engine.ts'

/** Stops an engine that has just told how far it is for longer than the 500 ms after which it tells again: it tells of its next tick, and a fast one is not done by then. */
export function tellSoon({ pid }: Engine): void {
	process.kill(pid!, 'SIGSTOP')
	setTimeout(() => isAlive(pid!) && process.kill(pid!, 'SIGCONT'), 600)
}
