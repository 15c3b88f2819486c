import { spawnSync } from 'node:child_process'

export interface Process {
	pid: number
	command: string
}

/** Whether it still runs; one that has ended and waits for its parent to notice does not. */
export const isAlive = (pid: number): boolean =>
	/^[^Z]/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim())

/** The processes below `pid`, of every generation; with `itself`, that one too. */
export function descendants(pid: number, { itself = false } = {}): Process[] {
	const table = spawnSync('ps', ['-eo', 'pid=,ppid=,command='], { encoding: 'utf8' })
		.stdout.trim()
		.split('\n')
		.map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)!)
		.map(([, child, parent, command]) => ({ pid: Number(child), parent: Number(parent), command: command as string }))
	const below = (parent: number): Process[] =>
		table.filter((row) => row.parent === parent).flatMap((row) => [row, ...below(row.pid)])
	return [...table.filter((row) => itself && row.pid === pid), ...below(pid)]
}
