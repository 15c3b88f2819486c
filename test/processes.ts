import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

export interface Process {
	pid: number
	command: string
}

/** Linux tells without `ps`, which small containers do not have. */
const hasProc = existsSync('/proc/self/stat')

/** Whether it still runs; one that has ended and waits for its parent to notice does not. */
export const isAlive = (pid: number): boolean => all().some((process) => process.pid === pid && process.state !== 'Z')

/** The processes below `pid`, of every generation; with `itself`, that one too. */
export function descendants(pid: number, { itself = false } = {}): Process[] {
	const table = all()
	const below = (parent: number): Process[] =>
		table.filter((row) => row.parent === parent).flatMap((row) => [row, ...below(row.pid)])
	return [...table.filter((row) => itself && row.pid === pid), ...below(pid)]
}

interface Row extends Process {
	parent: number
	state: string
}

function all(): Row[] {
	if (hasProc) {
		return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? row(Number(name)) : []))
	}
	return spawnSync('ps', ['-eo', 'pid=,ppid=,stat=,command='], { encoding: 'utf8' })
		.stdout.trim()
		.split('\n')
		.map((line) => /^\s*(\d+)\s+(\d+)\s+(\S)\S*\s+(.*)$/.exec(line)!)
		.map(([, pid, parent, state, command]) => ({
			pid: Number(pid),
			parent: Number(parent),
			state: state as string,
			command: command as string
		}))
}

/** None of one that has ended since. */
function row(pid: number): Row[] {
	try {
		// proc(5): pid (name) state ppid …; a name may hold brackets of its own.
		const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
		const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trimEnd()
		return [{ pid, parent: Number(parent), state: state as string, command }]
	} catch {
		return []
	}
}
