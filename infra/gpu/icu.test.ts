import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { dropLanguages } from './icu.ts'

test('Node.js runs without other languages than English', async () => {
	const program = await readFile(process.execPath)
	expect(dropLanguages(program)).toBeGreaterThan(20e6)
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		const node = path.join(folder, 'node')
		await writeFile(node, program, { mode: 0o755 })
		const said = `(1234.5).toLocaleString() + ' ' + 'é'.normalize('NFD').length + ' ' + /\\p{L}/u.test('é') + ' ' + 'b'.localeCompare('a')`
		for (const language of ['C.UTF-8', 'de_DE.UTF-8']) {
			const { stdout } = await promisify(execFile)(node, ['-p', said], { env: { LC_ALL: language } })
			expect(stdout).toBe('1,234.5 2 true 1\n')
		}
	} finally {
		await rm(folder, { recursive: true })
	}
})

test('refuses what holds no ICU', () => {
	expect(() => dropLanguages(Buffer.alloc(100))).toThrow('expected a program with the data of ICU, found none')
})
