import { renameSync, rmSync, writeFileSync } from 'node:fs'

/** Writes a file whole or not at all: who is killed in the midst of it, or whose disk is full, leaves the one that was there. For its owner alone. */
export function writeWhole(file: string, text: string): void {
	const made = `${file}.new`
	try {
		writeFileSync(made, text, { mode: 0o600 })
		renameSync(made, file)
	} catch (error) {
		rmSync(made, { force: true })
		const { path, message } = error as NodeJS.ErrnoException
		// Of a disk that is full, it does not say which file found no room.
		throw path === undefined ? new Error(`${file}: ${message}`) : error
	}
}
