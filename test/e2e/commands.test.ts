import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { root } from '../root.ts'

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const commands = Object.entries(scripts).flatMap(([name, command]) => {
	const [, file] = /^node (\S+)$/.exec(command) ?? []
	return file ? [[name === 'start' ? 'npm start' : `npm run ${name}`, file] as const] : []
})
const run = (file: string, option: string) => promisify(execFile)(process.execPath, [join(root, file), option], { cwd: root })

it.each([...commands, ['worker-gpu/main.ts', 'worker-gpu/main.ts'] as const])(
	'%s explains itself, and does nothing else',
	async (name, file) => {
		const { stdout, stderr } = await run(file, '--help')
		expect([stdout, stderr]).toEqual([expect.stringContaining(name), ''])
	}
)

// What the API's fuzzer does not know is schemathesis's to judge.
it.each(commands.filter(([name]) => name !== 'npm run fuzz:api'))(
	'%s says in a line which option it does not know',
	async (_, file) => {
		await expect(run(file, '--frobnicate')).rejects.toMatchObject({
			code: 1,
			stdout: '',
			stderr: expect.stringMatching(/^[^\n]*--frobnicate[^\n]*\n$/)
		})
	}
)
