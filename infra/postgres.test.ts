import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { preparePostgres } from './postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('makes a cluster in a folder of any name', async () => {
	const { args } = await preparePostgres(join(folder, `it's "50 %" \\of\\ $HOME; ünï`), 1)
	expect(args).toEqual(expect.arrayContaining(['-p', '1']))
})

it('says which character of a name PostgreSQL does not take, before anything is removed', async () => {
	await expect(preparePostgres(join(folder, 'two\nlines'), 1)).rejects.toThrow(
		/where a folder has "\\n" in its name \("[^\n]+two\\nlines"\): rename it, or set QUEUE_URL/
	)
})
