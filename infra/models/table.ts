import type { Facts } from '../../worker-gpu/ldm/facts.ts'
import type { Port } from '../../worker-gpu/onnx/part.ts'
import type { Added } from './add.ts'
import type { Export } from './folder.ts'

const sameBits = ({ rows, invariantFrom }: Facts): string =>
	rows !== undefined ? 'always' : invariantFrom === undefined ? 'no batch' : `from batches of ${invariantFrom}`

/** Columns as wide as what stands in them, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string {
	const shown = rows.map((row) => row.map(printable))
	const widths = shown.reduce<number[]>((most, row) => row.map((cell, i) => Math.max(most[i] ?? 0, cell.length)), [])
	return shown.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 2))).join('')).join('\n')
}

/** Names come from files of other people, and may try to write on the terminal. */
export const printable = (text: string): string => text.replace(/[^\P{Cc}\n]/gu, '\ufffd')

/** What an export holds: a line for each port of its graphs. */
export function describeExport({ folder, pipeline, scheduler, graphs, size }: Export): string {
	const rows = [...graphs].flatMap(([part, graph]) => {
		const ports = (arrow: string, side: ReadonlyMap<string, Port>) =>
			[...side].map(([name, { type, dims }]) => [arrow, name, type, `[${dims.join(', ')}]`])
		const lines = [...ports('→', graph.inputs), ...ports('←', graph.outputs)]
		return lines.map((line, i) => [i === 0 ? part : '', i === 0 ? bytes(graph.size) : '', ...line])
	})
	return `${printable(`${folder}\n${pipeline}, ${scheduler}`)}, ${bytes(size)}\n\n${table([['part', 'size', '', 'name', 'type', 'shape'], ...rows])}`
}

/** What was made of it. */
export function describeAdded({ entry, facts, folder, notes }: Added): string {
	const { size, steps, guidance, control, count } = entry
	const range = (values: { default: number; min?: number; max: number }) =>
		`${values.default} (${values.min ?? 1} to ${values.max})`
	return table([
		['id', entry.id],
		['folder', folder],
		['tasks', Object.keys(entry.tasks).join(', ')],
		['size', `${range(size)}, in steps of ${size.multiple}`],
		['steps', range(steps)],
		['guidance', range(guidance)],
		...(control ? [['control', range({ ...control, min: 0 })]] : []),
		['count', range(count)],
		['samplers', entry.samplers.join(', ') || "the model's own alone"],
		['same bits', sameBits(facts)],
		...notes.map((note, i) => [i === 0 ? 'notes' : '', note])
	])
}

export function bytes(count: number): string {
	const units = ['B', 'kB', 'MB', 'GB']
	const unit = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3))
	const value = count / 1000 ** unit
	return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`
}
