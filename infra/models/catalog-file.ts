import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { z } from 'zod'
import { type Model, parseCatalog } from '../../shared/catalog.ts'

/** biome's line width, by which the file is formatted. */
const COLUMNS = 130

/** A model as it stands in the file: what has a default may be left out. */
export type Entry = z.input<typeof Model>

export function readCatalog(file: string): Entry[] {
	const catalog = JSON.parse(readFileSync(file, 'utf8'))
	parseCatalog(catalog, file)
	return catalog.models
}

/**
 * Changes the catalog's file. Two changes at once do not lose one another: the second throws. A crash leaves the old file.
 */
export function changeCatalog(file: string, change: (models: readonly Entry[]) => Entry[]): void {
	const next = `${file}.next`
	const descriptor = openLock(next)
	try {
		const changed = { models: change(readCatalog(file)) }
		parseCatalog(changed, file)
		writeFileSync(descriptor, `${format(changed)}\n`) // All of it: `writeSync` writes what a full disk takes, and is content.
		renameSync(next, file)
	} catch (error) {
		rmSync(next, { force: true })
		throw error
	} finally {
		closeSync(descriptor)
	}
}

function openLock(file: string): number {
	try {
		return openSync(file, 'wx')
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
			throw new Error(`another import is writing the catalog; if none runs, remove ${file}`)
		}
		throw error
	}
}

/** As biome formats it: on one line what fits there with so much `beside` it, but for the catalog itself and its entries. */
function format(value: unknown, indent = '', beside = 0): string {
	const isArray = Array.isArray(value)
	if (typeof value !== 'object' || value === null) {
		return JSON.stringify(value)
	}
	const depth = indent.length
	const line = oneLine(value)
	// A tab is two columns wide there.
	if (depth > 2 && depth * 2 + line.length + beside <= COLUMNS) {
		return line
	}
	const inner = `${indent}\t`
	const comma = (i: number, all: readonly unknown[]) => (i < all.length - 1 ? 1 : 0)
	const items = isArray
		? value.map((item, i, all) => format(item, inner, comma(i, all)))
		: Object.entries(value).map(([key, item], i, all) => {
				const name = `${JSON.stringify(key)}: `
				return `${name}${format(item, inner, name.length + comma(i, all))}`
			})
	const [open, close] = isArray ? '[]' : '{}'
	return items.length === 0
		? `${open}${close}`
		: `${open}\n${items.map((item) => `${inner}${item}`).join(',\n')}\n${indent}${close}`
}

function oneLine(value: unknown): string {
	if (Array.isArray(value)) {
		return `[${value.map(oneLine).join(', ')}]`
	}
	if (typeof value === 'object' && value !== null) {
		const fields = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`)
		return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
	}
	return JSON.stringify(value)
}
