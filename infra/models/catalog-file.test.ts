import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import shipped from '../../shared/catalog.json' with { type: 'json' }
import { usualPrice } from '../../shared/pricing.ts'
import { changeCatalog, type Entry } from './catalog-file.ts'

const root = path.join(import.meta.dirname, '../..')

test('what is written is as biome formats it, on lines of every length', () => {
	const folder = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	const file = path.join(folder, 'catalog.json')
	const first = shipped.models[0] as Entry
	writeFileSync(file, JSON.stringify({ models: [first] }))
	const longer = Array.from({ length: 40 }, (_, i) => {
		const examples = [{ name: 'Longer', request: { prompt: 'a'.repeat(40 + i), seed: 5 } }]
		return [
			{ ...first, id: `last-${i}`, examples },
			{ ...first, id: `followed-${i}`, examples, price: usualPrice }
		]
	}).flat()
	changeCatalog(file, (models) => [...models, ...longer])
	const written = readFileSync(file, 'utf8')
	rmSync(folder, { recursive: true })
	const biome = path.join(root, 'node_modules/.bin/biome')
	const formatted = execFileSync(biome, ['format', '--stdin-file-path=shared/catalog.json'], { cwd: root, input: written })
	expect(written).toBe(`${formatted}`)
})
