/*
 * Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/): counters, gauges and histograms are all that a node
 * has, which is less than a package for it would be.
 */

interface Metric {
	/** Its lines, ready to be sent. */
	lines(): string[]
}

export interface Value extends Metric {
	add(amount: number, label?: string): void
	set(value: number, label?: string): void
}

interface Histogram extends Metric {
	observe(value: number): void
}

/**
 * @param label the name of the one label that tells its values apart, where there is more than one
 * @param known values of the label that are there from the start: a counter's rate misses what happens before its first scrape
 */
export function value(
	name: string,
	type: 'counter' | 'gauge',
	help: string,
	label?: string,
	known: readonly string[] = []
): Value {
	const values = new Map<string, number>((label === undefined ? [''] : known).map((of) => [of, 0]))
	return {
		add: (amount, of = '') => void values.set(of, (values.get(of) ?? 0) + amount),
		set: (to, of = '') => void values.set(of, to),
		lines: () => [
			...head(name, type, help),
			...Array.from(values, ([of, number]) => `${name}${label === undefined ? '' : `{${label}="${escaped(of)}"}`} ${number}`)
		]
	}
}

/** @param bounds upper ends of the buckets, rising */
export function histogram(name: string, help: string, bounds: readonly number[]): Histogram {
	const counts = Array<number>(bounds.length).fill(0)
	let sum = 0
	let count = 0
	return {
		observe(observed) {
			sum += observed
			count += 1
			for (const [i, bound] of bounds.entries()) {
				counts[i]! += observed <= bound ? 1 : 0
			}
		},
		lines: () => [
			...head(name, 'histogram', help),
			...bounds.map((bound, i) => `${name}_bucket{le="${bound}"} ${counts[i]}`),
			`${name}_bucket{le="+Inf"} ${count}`,
			`${name}_sum ${sum}`,
			`${name}_count ${count}`
		]
	}
}

const head = (name: string, type: string, help: string) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]

const escaped = (text: string) => text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
