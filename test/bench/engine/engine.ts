import { writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import path from 'node:path'
import type { Room } from '../../../worker-gpu/engine/schedule.ts'
import { median, quantile } from '../statistics.ts'
import { invariance } from './invariance.ts'
import { joining } from './joining.ts'
import { sideBySide } from './lanes.ts'
import { loadModel, type Model, measureLimit } from './model.ts'
import { overhead } from './overhead.ts'
import { plot } from './plot.ts'
import { kills, memory } from './process.ts'
import { rival, type Times } from './rivals.ts'
import { type Asked, arrivals, continuous, meanSteps, oneAtATime, type Served, type Server, staticBatches } from './servers.ts'

import {
	type Costs,
	lone,
	measureCosts,
	type Simulation,
	simulateContinuous,
	simulateOneAtATime,
	simulateStatic
} from './simulation.ts'

const figure = path.join(import.meta.dirname, 'load.svg')

/** What it measures, each by itself if need be: `npm run bench -- engine load`. */
export const engineParts = ['overhead', 'joining', 'load', 'python', 'invariance', 'memory', 'kills'] as const
type EnginePart = (typeof engineParts)[number]

/**
 * What continuous batching gains and costs, as ratios of what was measured in this one run. About six minutes, `quick` one and a half. Load
 * is counted over 3,000 pictures from the calls' measured times, with the engine's own choice of rows; real runs of the networks beside it, at
 * simulated arrivals, show that it is counted right: nothing is waited for but work, and the ways to serve go call by call in turn.
 *
 * The table at the end is the README's.
 */
export async function engine({ quick, parts = [] }: { quick: boolean; parts?: readonly string[] }): Promise<void> {
	const chosen = engineParts.filter((part) => parts.length === 0 || parts.includes(part))
	const model = await loadModel()
	await model.plan({}).then(({ finish, start }) => finish(start(1)))
	const room = await measureLimit(model)
	const table: Line[] = []
	for (const part of chosen) {
		const began = performance.now()
		const lines = await measure[part]({ model, room, quick }).catch((error: Error): Line[] => {
			process.exitCode = 1 // The others are worth their while all the same.
			return [[part, `failed: ${error.message}`, '']]
		})
		table.push(...lines)
		for (const [what, got, target] of lines) {
			console.log(`  ${what.padEnd(84)} ${got.padStart(12)}   ${target}`)
		}
		const load = loadavg()[0]!.toFixed(1)
		console.log(`  (${part}: ${((performance.now() - began) / 1000).toFixed(0)} s; load average ${load})`)
	}
	console.log('\n| | measured | target | command |\n|---|---|---|---|')
	for (const [what, got, target] of table) {
		console.log(`| ${what} | ${got} | ${target} | \`npm run bench -- engine\` |`)
	}
}

/** What was measured, how much it is, and what it is to be. */
type Line = readonly [what: string, got: string, target: string]

interface Bench {
	readonly model: Model
	readonly room: Room
	readonly quick: boolean
}

const ratio = (value: number) => value.toFixed(2)

const measure: Record<EnginePart, (bench: Bench) => Promise<Line[]>> = {
	async overhead({ model, room, quick }) {
		const found = await overhead(model, room.most, quick ? 3 : 8)
		return [["the engine's wall time over the same session runs made bare, steady load", found.toFixed(3), '≤ 1.03']]
	},

	async joining({ model, quick }) {
		const { below, at, bound } = await joining(model, quick ? 40 : 200)
		return [
			["a newcomer's wait below the batch limit in ticks, p99", String(below), '≤ 1'],
			["a newcomer's wait at the batch limit in ticks, p99", String(at), `≤ ${bound}`]
		]
	},

	async load({ model, room, quick }) {
		const costs = await measureCosts(model, room.most, quick ? 4 : 9)
		const backlog = arrivals(quick ? 16 : 48, 0, 5)
		const [full, alone, whole, shrunk] = await servedBy(model, [
			continuous(room, backlog),
			oneAtATime(backlog),
			staticBatches(backlog),
			staticBatches(backlog, true)
		])
		const picture = alone!.end / backlog.length
		const asked = arrivals(quick ? 16 : 72, picture / share, 17)
		const real = await servedBy(model, [continuous(room, asked), oneAtATime(asked), staticBatches(asked)])
		const simulations = [simulateContinuous(room), simulateOneAtATime, simulateStatic]
		// As the simulation counts those few, and many: a few dozen arrivals tell more of themselves than of their kind.
		const few = arrivals(asked.length, lone(costs) / share, 17)
		const counted = simulations.map((simulation) => summary(simulation(costs, few)))
		const many = simulations.map((simulation) => latencyAt(simulation, costs, share))
		const measured = real.map(({ latencies }) => summary(latencies))
		const held = (unit: (steps: number) => number) => {
			const [mine, single] = simulations.map((simulation) => highestLoad(simulation, costs, unit))
			return ratio(mine! / single!)
		}
		await writeFile(
			figure,
			draw(
				costs,
				simulations,
				measured.map(({ p95 }) => p95 / picture)
			)
		)
		const over = (found: readonly Latency[], other: 1 | 2, of: keyof Latency) => ratio(found[0]![of] / found[other]![of])
		const both = (other: 1 | 2, of: keyof Latency) =>
			`${over(many, other, of)}; ${over(measured, other, of)} in real runs of ${asked.length} (counted: ${over(counted, other, of)})`
		const at = 'at 70 % of what one at a time can serve:'
		return [
			['evaluations a call, as measured at warm-up; while fewer wait', `${room.most}; ${room.light}`, ''],
			[
				'the bare network: throughput of eight guided pictures a call over one',
				ratio((8 * costs.call[2]!) / costs.call[16]!),
				''
			],
			[`${at} mean latency over one at a time`, both(1, 'mean'), '≤ 0.85'],
			[`${at} mean latency over static batches of 8`, both(2, 'mean'), '≤ 0.6'],
			[`${at} p95 over static batches of 8`, both(2, 'p95'), '≤ 0.5'],
			['throughput at saturation over one at a time', ratio(full!.rate / alone!.rate), '≥ 1.35'],
			['throughput at saturation over static batches of 8', ratio(full!.rate / whole!.rate), '≥ 1'],
			['throughput at saturation over static batches that shrink as rows end', ratio(full!.rate / shrunk!.rate), ''],
			['highest load with p95 under 3 × a picture of mean length alone, over one at a time', held(() => lone(costs)), '≥ 1.4'],
			['highest load with p95 under 3 × the same picture alone, over one at a time', held((steps) => lone(costs, steps)), '']
		]
	},

	async python({ model, room, quick }) {
		const mixed = arrivals(quick ? 4 : 12, 0, 5)
		const alike = (count: number): Asked[] => Array.from({ length: count }, (_, seed) => ({ arrival: 0, steps: 25, seed }))
		const times = quick ? 1 : 5
		const seconds = async (asked: readonly Asked[], times: number) => {
			const ends: number[] = []
			for (let i = 0; i < times; i++) {
				const [one] = await servedBy(model, [continuous(room, asked)])
				ends.push(one!.end / 1000)
			}
			return median(ends)
		}
		const lines: Line[] = []
		for (const [server, name, targets] of [
			['diffusers', 'diffusers on torch', { one: '≥ 1.3', eight: '≥ 1.3', mixed: '' }],
			['optimum', 'Optimum’s pipeline', { one: '', eight: '≥ 1', mixed: '≥ 1.3' }]
		] as const) {
			const found = await rival(
				server,
				mixed.map(({ steps }) => steps),
				times
			)
			if (typeof found === 'string') {
				console.log(`  without ${name}: ${found}`)
				continue
			}
			// After the other, so that the machine is as warm; the median of as many runs.
			const own = { one: await seconds(alike(1), times), eight: await seconds(alike(8), times), mixed: await seconds(mixed, 1) }
			const over = (of: keyof Times) => ratio(found[of] / own[of])
			lines.push(
				[`${name} over Darkroom, seconds: one picture`, over('one'), targets.one],
				[`${name} over Darkroom, seconds: eight at once`, over('eight'), targets.eight],
				[`${name} over Darkroom, seconds: mixed, one by one`, over('mixed'), targets.mixed]
			)
		}
		return lines
	},

	async invariance({ model }) {
		const { alone, among } = await invariance(model)
		return [["a picture's SHA-256 alone and among seven strangers", alone === among ? 'the same' : 'NOT the same', 'the same']]
	},

	async memory({ quick }) {
		const pictures = quick ? 600 : 3_000
		return [[`resident memory of the engine after ${pictures} pictures of mixed shapes`, ratio(await memory(pictures)), '≤ 1.05']]
	},

	async kills({ quick }) {
		const { killed, same, once, oldestMs } = await kills(quick ? 4 : 20)
		return [
			[
				`engine killed ${killed} times while it draws`,
				same && once ? 'each picture once, the same' : 'NOT the same',
				'each once, the same'
			],
			['work done again after a kill, at most', `${oldestMs.toFixed(0)} ms`, 'the 500 ms between two copies, and a tick']
		]
	}
}

interface Latency {
	readonly mean: number
	readonly p95: number
}

const summary = (latencies: readonly number[]): Latency => ({
	mean: latencies.reduce((sum, value) => sum + value, 0) / latencies.length,
	p95: quantile(latencies, 0.95)
})

/** The load of the table's real runs, as a share of what one at a time can serve. */
const share = 0.7

const servedBy = async (model: Model, servers: readonly Server[]): Promise<Served[]> =>
	(await sideBySide(model, servers)).map(({ result }) => result)

const simulatedPictures = 3_000

function latencyAt(simulation: Simulation, costs: Costs, load: number): Latency {
	return summary(simulation(costs, arrivals(simulatedPictures, lone(costs) / load, 17)))
}

/**
 * By bisection, as a share of what one at a time can serve.
 *
 * @param unit the milliseconds, for a picture of so many steps, that 95 % may take three times
 */
function highestLoad(simulation: Simulation, costs: Costs, unit: (steps: number) => number): number {
	let [holds, breaks] = [0.02, 3]
	while (breaks - holds > 0.005) {
		const middle = (holds + breaks) / 2
		const asked = arrivals(simulatedPictures, lone(costs) / middle, 17)
		const times = simulation(costs, asked).map((latency, i) => latency / unit(asked[i]!.steps))
		if (quantile(times, 0.95) < 3) {
			holds = middle
		} else {
			breaks = middle
		}
	}
	return holds
}

function draw(costs: Costs, simulations: readonly Simulation[], dots: readonly number[]): string {
	const loads = Array.from({ length: 30 }, (_, i) => 0.05 * (i + 1))
	const names = ['continuous', 'one at a time', 'static batches of 8']
	const colours = ['#0a7d4f', '#b04a00', '#4455aa']
	return plot(
		`Latency under load: guided pictures of 8–50 steps (mean ${meanSteps}), Poisson arrivals`,
		{
			label: 'load, as a share of what one at a time can serve (dots: real runs)',
			from: 0,
			to: 1.5,
			ticks: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
		},
		{ label: 'p95, in lone pictures', from: 0, to: 8, ticks: [0, 1, 2, 3, 4, 5, 6, 7, 8] },
		simulations.map((simulation, i) => ({
			name: names[i]!,
			colour: colours[i]!,
			points: loads.map((load) => [load, latencyAt(simulation, costs, load).p95 / lone(costs)] as const),
			dots: [[share, dots[i]!] as const]
		}))
	)
}
