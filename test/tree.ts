import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './root.ts'

/** A copy of Darkroom, for whoever imports models: that writes the catalog that it is built with. */
export function copyTree(): string {
	const tree = mkdtempSync(join(tmpdir(), 'darkroom-tree-'))
	for (const name of ['edge', 'infra', 'shared', 'worker-gpu', 'package.json', 'tsconfig.json', 'wrangler.toml', '.npmrc']) {
		const without = /\/(golden|model-kit|scenes)$/
		cpSync(join(root, name), join(tree, name), { recursive: true, filter: (from) => !without.test(from) })
	}
	symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
	symlinkSync(join(root, 'worker-gpu/models/scenes'), join(tree, 'worker-gpu/models/scenes'))
	return tree
}

/** `npm run models` there. */
export function runModels(tree: string, ...parameters: string[]) {
	const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'models', '--', ...parameters], {
		cwd: tree,
		encoding: 'utf8'
	})
	return { status, stdout, stderr }
}
