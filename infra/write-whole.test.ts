import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('says which file found no room, and leaves the one that was there', () => {
	const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
	const file = join(folder, 'kept.json')
	writeFileSync(file, 'before')
	const script = `
		import { writeWhole } from ${JSON.stringify(join(import.meta.dirname, 'write-whole.ts'))}
		try { writeWhole(process.argv[1], 'after') } catch (error) { console.log(error.message) }
	`
	// Of a process that may write no byte into files, which is told so as by a disk that is full: by an error that names none.
	const limited = ['-c', `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`, process.execPath, '--input-type=module', '-e', script, file]
	const { stdout } = spawnSync('sh', limited, { encoding: 'utf8', env: {} })
	expect(stdout).toBe(`${file}: EFBIG: file too large, write\n`)
	expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['kept.json'], 'before'])
	rmSync(folder, { recursive: true })
})
