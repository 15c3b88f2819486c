/** `npm run fuzz:faults`: orders of every kind while everything goes wrong that can; then all that Darkroom promises must be so. */
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { readCommandLine } from '../../../shared/command-line.ts'
import type { GenerationOrder } from '../../../shared/contract/order.ts'
import { EventName } from '../../../shared/contract/webhooks.ts'
import { postgresServer, redisServer } from '../../queues.ts'
import { uniform } from '../../uniform.ts'
import { violations } from './books.ts'
import { between } from './chance.ts'
import { Customer, type Sample } from './customer.ts'
import { goWrong } from './faults.ts'
import { type House, openHouse } from './house.ts'
import { openReceiver } from './receiver.ts'

const usage = `npm run fuzz:faults [-- SEED … --redis --seconds N --verbose]: orders of every kind while everything goes wrong that can

  SEED …        each is a run, and says what is ordered and what goes wrong; a random one where there is none.
                Which single calls fail while calls go wrong is not in it: they come in no certain order
  --redis       the queue is on Redis; without it, on PostgreSQL
  --seconds N   how long things go wrong in each run; 60
  --verbose     prints what the processes print`
const { values, positionals } = readCommandLine(usage, {
	options: {
		redis: { type: 'boolean', default: false },
		seconds: { type: 'string', default: '60' },
		verbose: { type: 'boolean', default: false }
	},
	allowPositionals: true
})
const seeds = positionals.length > 0 ? positionals.map(Number) : [Math.floor(Math.random() * 1e6)]
const seconds = Number(values.seconds)
const odd = [...positionals, values.seconds].find((word) => !/^\d+$/.test(word))
if (odd !== undefined) {
	console.error(`expected a whole number, got ${odd}`)
	process.exit(1)
}

const small = { width: 96, height: 96, count: 4 }
const scene = { ...small, model: 'scenes', prompt: 'a red sphere' }
const orders: GenerationOrder[] = [1, 0xffff_fffe].flatMap((seed) => [
	{ ...scene, seed, steps: 4 },
	{ ...scene, seed, steps: 12, partial_images: 2, output_format: 'webp' as const },
	{ ...scene, seed, width: 128, steps: 90, sampler: 'euler-ancestral' as const },
	{ ...small, model: 'scenes-classes', class_label: 'red cube', seed, steps: 8, width: 128, height: 128 },
	{ ...small, model: 'scenes-unconditional', seed, steps: 20, width: 128, height: 128 }
])

const house = await openHouse(values.redis ? redisServer : postgresServer)
try {
	const receiver = await openReceiver()
	const samples = await sampled(house)
	for (const seed of seeds) {
		const sequence: string[] = []
		const [done, found] = await run(house, samples, seed, receiver, sequence)
		console.log(`seed ${seed}: ${done}; ${found.length === 0 ? 'all as promised' : `${found.length} NOT as promised`}`)
		if (found.length > 0) {
			process.exitCode = 1
			console.log([...sequence, ...found].map((line) => `  ${line}`).join('\n'))
		}
	}
	receiver.close()
} finally {
	if (values.verbose || process.exitCode) {
		console.log(house.output.join('\n'))
	}
	await house.close()
}
process.exit()

async function sampled(house: House): Promise<Sample[]> {
	const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } })
	// The nodes fetch it.
	const image = `data:image/png;base64,${(await grey.png().toBuffer()).toString('base64')}`
	return (await newCustomer(house, 'samples')).sample([...orders, { ...scene, image, seed: 7, steps: 20 }])
}

async function newCustomer({ admin, url }: House, account: string): Promise<Customer> {
	await admin('PUT', account, { plan: 'scale', limits: {} })
	await admin('POST', `${account}/credits`, { amount: 1_000_000_000, reference: 'faults' })
	return new Customer(url, (await admin<{ key: string }>('POST', `${account}/keys`, { name: 'faults' })).key)
}

async function run(
	house: House,
	samples: Sample[],
	seed: number,
	receiver: { url: string; letters: Parameters<typeof violations>[3] },
	sequence: string[]
): Promise<[string, string[]]> {
	const account = `seed-${seed}-${Date.now()}`
	const customer = await newCustomer(house, account)
	await customer.ask('POST', '/v1/webhooks', { url: `${receiver.url}/all`, events: EventName.options })
	const began = performance.now()
	const before = house.wire.failed
	const tell = (what: string) => sequence.push(`${((performance.now() - began) / 1_000).toFixed(1)} s: ${what}`)
	const chance = uniform(seed)
	const wrong = goWrong(house, uniform(~seed), seconds, tell)
	const orders: Promise<void>[] = []
	while (performance.now() - began < seconds * 1_000) {
		orders.push(customer.order(chance, samples, `${receiver.url}/own`))
		await sleep(1_000 * between(chance, 0.3, 1.5))
	}
	await wrong
	await Promise.all(orders)
	const found = await violations(house, customer, account, receiver.letters)
	const ends = Object.groupBy(customer.accepted, ({ ends, isDeleted }) => (isDeleted ? 'deleted' : [...ends].join()))
	const summary = Object.entries(ends).map(([end, list]) => `${list!.length} ${end}`)
	return [
		`${customer.accepted.length} orders (${summary.join(', ')}), ${sequence.length} faults, ${house.wire.failed - before} calls failed`,
		found
	]
}
