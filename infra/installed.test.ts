import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each(['start', 'check'])('npm run %s says what to do where npm has not installed all that it needs', (script) => {
	mkdirSync(join(folder, 'infra'), { recursive: true })
	for (const file of ['package.json', 'infra/installed.js']) {
		cpSync(join(root, file), join(folder, file))
	}
	const { status, stderr } = spawnSync('npm', ['run', '--silent', script], { cwd: folder, encoding: 'utf8' })
	expect(status).toBe(1)
	expect(stderr).toMatch(/^darkroom: expected node_modules\/node\/bin\/node, which npm installs, got none: run `npm ci`/)
})
