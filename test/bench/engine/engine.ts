import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { quantile } from '../statistics.ts'
import { invariance } from './invariance.ts'
import { joining } from './joining.ts'
import { loadModel, type Model, measureLimit } from './model.ts'
import { overhead } from './overhead.ts'
import { plot } from './plot.ts'
import { kills, memory } from './process.ts'
import { rivals } from './rivals.ts'
import { type Asked, arrivals, continuous, meanSteps, oneAtATime, type Server, staticBatches } from './servers.ts'
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

/**
 * What continuous batching gains and costs, as ratios of what was measured in this one run. About seven minutes, `quick` one and a half. Load
 * is real runs of the networks at simulated arrivals: nothing is waited for but work. Whole curves, and the highest load that holds, are
 * counted from the calls' measured times, with the engine's own choice of rows.
 */
export async function engine({ quick }: { quick: boolean }): Promise<void> {
	const model = await loadModel()
	await model.plan({}).then(({ finish, start }) => finish(start(1)))
	const limit = await measureLimit(model)
	const costs = await measureCosts(model, limit, quick ? 3 : 9)
	print('batch limit, evaluations a call', String(limit), '')
	print('eight guided pictures a call over one, throughput', ratio((8 * costs.call[2]!) / costs.call[16]!), '')

	print('wall time over the bare calls, steady load', ratio(await overhead(model, limit, quick ? 3 : 9)), '≤ 1.03')
	const { below, at, bound } = await joining(model, quick ? 40 : 200)
	print('newcomer’s wait below the limit, p99', `${below} ticks`, '≤ 1')
	print('newcomer’s wait at the limit, p99', `${at} ticks`, `≤ ${bound}`)

	const mine = { real: continuous(limit), simulated: simulateContinuous(limit) }
	const single = { real: oneAtATime, simulated: simulateOneAtATime }
	const batched = { real: staticBatches, simulated: simulateStatic }
	const real = await underLoad(model, costs, [mine, single, batched], quick ? 16 : 48)
	const [a, b, c] = real as [Latency, Latency, Latency]
	print('70 % of one-at-a-time’s capacity: mean over one at a time', ratio(a.mean / b.mean), '≤ 0.85')
	print('                                  mean over static batches', ratio(a.mean / c.mean), '≤ 0.6')
	print('                                  p95 over static batches', ratio(a.p95 / c.p95), '≤ 0.5')

	const [full, alone, whole] = await saturated(model, [mine.real, single.real, batched.real], quick ? 8 : 24)
	print('throughput at saturation over one at a time', ratio(alone! / full!), '≥ 1.35')
	print('                         over static batches', ratio(whole! / full!), '≥ 1')
	const held = [mine, single, batched].map(({ simulated }) => highestLoad(simulated, costs))
	print('highest load with p95 under 3 × a lone picture, over one at a time', ratio(held[0]! / held[1]!), '≥ 1.4')
	await writeFile(
		figure,
		draw(
			costs,
			[mine, single, batched].map(({ simulated }) => simulated),
			real
		)
	)

	await againstPython(model, mine.real, quick)

	const sha = await invariance(model)
	print(
		'alone and among seven strangers',
		sha.alone === sha.among ? `the same (${sha.alone.slice(0, 12)}…)` : 'NOT the same',
		'the same'
	)
	const pictures = quick ? 300 : 3_000
	print(`resident memory after ${pictures} pictures over the first tenth`, ratio(await memory(pictures)), '≤ 1.05')
	const { killed, same, once, repeated } = await kills(quick ? 4 : 20)
	print(`engine killed ${killed} times`, same && once ? 'each picture once, the same' : 'NOT the same', 'each once, the same')
	print('                 evaluations done again a kill, of eight pictures', repeated.toFixed(0), '')
	console.log(`  ${path.relative(process.cwd(), figure)} is drawn`)
}

const ratio = (value: number) => value.toFixed(2)
const print = (what: string, got: string, target: string) => console.log(`  ${what.padEnd(68)} ${got.padStart(10)}   ${target}`)

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

async function underLoad(model: Model, costs: Costs, servers: readonly { real: Server }[], count: number): Promise<Latency[]> {
	const asked = arrivals(count, lone(costs) / share, 17)
	const found: Latency[] = []
	for (const { real } of servers) {
		found.push(summary((await real(model, asked)).latencies))
	}
	return found
}

async function againstPython(model: Model, mine: Server, quick: boolean): Promise<void> {
	const mixed = arrivals(quick ? 4 : 12, 0, 5)
	const alike = (count: number): Asked[] => Array.from({ length: count }, (_, seed) => ({ arrival: 0, steps: 25, seed }))
	const found = await rivals(
		mixed.map(({ steps }) => steps),
		quick ? 2 : 5
	)
	if (typeof found === 'string') {
		console.log(`  against Python: ${found}`)
		return
	}
	// After the others, so that the machine is as warm; the median of as many runs.
	const seconds = async (asked: readonly Asked[], times: number) => {
		const ends: number[] = []
		for (let i = 0; i < times; i++) {
			ends.push((await mine(model, asked)).end / 1000)
		}
		return quantile(ends, 0.5)
	}
	const times = quick ? 2 : 5
	const [one, eight, all] = [await seconds(alike(1), times), await seconds(alike(8), times), await seconds(mixed, 1)]
	print('diffusers on torch over Darkroom: one picture', ratio(found.diffusers.one / one), '≥ 1.3')
	print('                                  eight at once', ratio(found.diffusers.eight / eight), '≥ 1.3')
	if (found.optimum) {
		print('Optimum’s pipeline over Darkroom: eight at once', ratio(found.optimum.eight / eight), '≥ 1')
		print('                                  mixed, one by one', ratio(found.optimum.mixed / all), '≥ 1.3')
	} else {
		console.log(`  without ${found.without}`)
	}
}

/** Milliseconds for the same pictures, all asked for at once. */
async function saturated(model: Model, servers: readonly Server[], count: number): Promise<number[]> {
	const asked: Asked[] = arrivals(count, 0, 5)
	const ends: number[] = []
	for (const server of servers) {
		ends.push((await server(model, asked)).end)
	}
	return ends
}

const simulatedPictures = 3_000

function latencyAt(simulation: Simulation, costs: Costs, load: number): Latency {
	return summary(simulation(costs, arrivals(simulatedPictures, lone(costs) / load, 17)))
}

/** By bisection, as a share of what one at a time can serve. */
function highestLoad(simulation: Simulation, costs: Costs): number {
	let [holds, breaks] = [0.02, 3]
	while (breaks - holds > 0.005) {
		const middle = (holds + breaks) / 2
		if (latencyAt(simulation, costs, middle).p95 < 3 * lone(costs)) {
			holds = middle
		} else {
			breaks = middle
		}
	}
	return holds
}

function draw(costs: Costs, simulations: readonly Simulation[], real: readonly Latency[]): string {
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
			dots: [[share, real[i]!.p95 / lone(costs)] as const]
		}))
	)
}
