import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const dockerfile = readFileSync(join(import.meta.dirname, 'Dockerfile'), 'utf8')
const stages = dockerfile.split(/^FROM /m).slice(1)
const programs = stages.map((stage) => /^(?:RUN node |CMD \["node", ")([^\s"]+)/m.exec(stage)![1]!)

let folder: string
afterEach(() => rmSync(folder, { recursive: true }))

it.each(programs)('%s has every file that it imports', (program) => {
	const stage = stages[programs.indexOf(program)]!
	folder = mkdtempSync(join(tmpdir(), 'darkroom-docker-'))
	symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
	for (const [, files = '', to = ''] of stage.matchAll(/^COPY ([^-].*) (\S+)$/gm)) {
		for (const file of files.split(' ')) {
			// What Dockerfile.dockerignore leaves out, and the weights.
			const filter = (from: string) => !/\.test\.ts$|worker-gpu\/(golden|models)$/.test(from)
			cpSync(join(root, file), join(folder, to, to.endsWith('/') ? basename(file) : ''), { recursive: true, filter })
		}
	}
	expect(execFileSync(process.execPath, [program, '--help'], { cwd: folder, encoding: 'utf8' })).not.toBe('')
})
