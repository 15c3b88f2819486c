import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readGraph } from '../../infra/models/graph.ts'
import { rewriteTimestep } from '../../infra/models/timestep.ts'
import { bytesField, ProtobufFile, varint, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { root } from '../root.ts'

const MB = 1e6

/** Memory that reading and rewriting a U-Net's graph takes, by the size of the weights in it: a process for each. */
export async function imports(): Promise<void> {
	for (const megabytes of [0, 250, 1_000, 1_900]) {
		const { stdout, stderr } = spawnSync(process.execPath, [import.meta.filename, String(megabytes)], { encoding: 'utf8' })
		if (!stdout) {
			throw new Error(stderr)
		}
		console.log(`  ${String(megabytes).padStart(5)} MB of weights in the graph  ${stdout.trim()}`)
	}
}

/** A real graph with one more weight, as large as asked. The file has a hole there, so that making it costs nothing. */
function grow(from: string, to: string, megabytes: number): void {
	const proto = new ProtobufFile(from)
	const fields = [...proto.fields()]
	const graph = fields.find(({ number }) => number === 7)!
	const rest = fields.filter((field) => field !== graph).map(({ start, to }) => proto.bytes(start, to))
	const inside = proto.bytes(graph.from, graph.to)
	proto.close()
	const size = megabytes * MB
	const head = Buffer.concat([
		varintField(1, size / 4),
		varintField(2, 1),
		bytesField(8, 'large'),
		varint(9 * 8 + 2),
		varint(size)
	])
	const weight = Buffer.concat([varint(5 * 8 + 2), varint(head.length + size), head])
	// What nothing takes would be left out.
	const output = bytesField(12, bytesField(1, 'large'))
	const length = output.length + weight.length + size + inside.length
	const before = Buffer.concat([...rest, varint(7 * 8 + 2), varint(length), output, weight])
	const file = openSync(to, 'w')
	writeSync(file, before, 0, before.length, 0)
	ftruncateSync(file, before.length + size)
	writeSync(file, inside, 0, inside.length, before.length + size)
	closeSync(file)
}

/** The most memory that this process has had, in MB. Its `maxRSS` begins with what the process had that started it. */
const peak = (): number => Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024

if (import.meta.main) {
	const work = mkdtempSync(join(tmpdir(), 'darkroom-'))
	try {
		const [source, target] = [join(work, 'source.onnx'), join(work, 'target.onnx')]
		grow(join(root, 'worker-gpu/golden/imports/unet-scalar/model.onnx'), source, Number(process.argv[2]))
		const before = peak()
		readGraph(source)
		rewriteTimestep(source, target)
		console.log(
			`${(peak() - before).toFixed(0).padStart(4)} MB more at most, ${(statSync(target).size / MB).toFixed(0)} MB written`
		)
	} finally {
		rmSync(work, { recursive: true })
	}
}
