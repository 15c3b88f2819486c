import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import shipped from '../../shared/catalog.json' with { type: 'json' }
import { usualPrice } from '../../shared/pricing.ts'
import { changeCatalog, type Entry, readCatalog } from './catalog-file.ts'

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

test('where there is no room for all of it, the old one stays', () => {
	const folder = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	const file = path.join(folder, 'catalog.json')
	const catalog = JSON.stringify(shipped)
	writeFileSync(file, catalog)
	const script = `
		import { changeCatalog } from ${JSON.stringify(path.join(import.meta.dirname, 'catalog-file.ts'))}
		changeCatalog(process.argv[1], (models) => [...models])
	`
	// No file beyond 4 kB: what is written ends there, as on a full disk.
	const { stderr } = spawnSync(
		'sh',
		['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script, file],
		{ encoding: 'utf8', env: { PATH: process.env.PATH } }
	)
	expect(stderr).toContain('EFBIG')
	expect(readFileSync(file, 'utf8')).toBe(catalog)
	expect(readdirSync(folder)).toEqual(['catalog.json'])
	rmSync(folder, { recursive: true })
})

test.each<[string, (entry: Entry) => unknown[], RegExp]>([
	[
		'a word in place of a number',
		(entry) => [{ ...entry, steps: { ...entry.steps, max: 'many' } }],
		/models\[0\]\.steps\.max: .*expected number/
	],
	[
		'a default beyond the most',
		(entry) => [{ ...entry, steps: { ...entry.steps, default: 1e6 } }],
		/models\[0\]\.steps: expected min ≤ default ≤ max/
	],
	[
		'a field that there is not',
		(entry) => [{ ...entry, size: { ...entry.size, step: 5 } }],
		/models\[0\]\.size: expected only default, min, max, multiple, got step$/
	],
	[
		'a field of a task that has none',
		(entry) => [{ ...entry, tasks: { 'text-to-image': { strength: 1 } } }],
		/models\[0\]\.tasks\["text-to-image"\]: expected no field, got strength$/
	],
	['sizes in steps of nothing', (entry) => [{ ...entry, size: { ...entry.size, multiple: 0 } }], /models\[0\]\.size\.multiple: /],
	['more pictures than the most', (entry) => [{ ...entry, count: { default: 9, max: 8 } }], /models\[0\]\.count: /],
	[
		'more pictures than nodes can deliver',
		(entry) => [{ ...entry, count: { default: 1, max: 65 } }],
		/models\[0\]\.count\.max: .*64/
	],
	[
		'a size that no picture can have',
		(entry) => [{ ...entry, size: { ...entry.size, max: entry.size.max + 1 } }],
		/models\[0\]\.size: expected multiples of multiple$/
	],
	['no model', () => [], /models: /],
	['a path for an id', (entry) => [{ ...entry, id: '../x' }], /models\[0\]\.id/],
	['an id twice', (entry) => [entry, entry], /models: expected each id once/]
])('an edited catalog with %s is refused by what and where', (_, edit, message) => {
	const folder = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	const file = path.join(folder, 'catalog.json')
	writeFileSync(file, JSON.stringify({ models: edit(shipped.models[0] as Entry) }))
	expect(() => readCatalog(file)).toThrow(message)
	expect(() => readCatalog(file)).toThrow(file)
	rmSync(folder, { recursive: true })
})
