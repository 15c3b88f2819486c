import { execFile } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../../test/root.ts'

/** Runs a program of graphs/, with the packages that came along; gives its lines as they come. */
export async function* python(program: string, ...given: readonly string[]): AsyncGenerator<string> {
	const child = execFile('python3', [path.join(import.meta.dirname, 'graphs', program), ...given], {
		env: { ...process.env, PYTHONPATH: path.join(root, '.data/gpu/site'), NODE: process.execPath }
	})
	child.stderr!.pipe(process.stderr)
	yield* createInterface(child.stdout!)
}
