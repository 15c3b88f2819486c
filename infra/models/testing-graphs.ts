import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { declaration, encoded } from '../../worker-gpu/onnx/new-node.ts'
import { bytesField, ProtobufFile, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { nameOf } from './graph.ts'

/** By name: [element type, dims]. */
export type Ports = Record<string, [number, (string | number)[]]>
/** [operator, inputs, output, attributes] */
export type Nodes = [string, string[], string, (readonly Buffer[])?][]

/** A U-Net's graph of a few nodes. `change` replaces inputs. */
export const network = (change: Ports, nodes: Nodes): Buffer =>
	graphOf({ sample: [1, ['batch', 4, 'height', 'width']], timestep: [1, []], ...change }, nodes)

/** A graph, opset 17, whose last node's output is its own, and declared as its first input is. */
export function graphOf(inputs: Ports, nodes: Nodes): Buffer {
	const graph = [
		...nodes.map(([operator, inputs, to, attributes = []]) =>
			bytesField(1, encoded({ operator, inputs, outputs: [to], attributes }))
		),
		bytesField(2, 'unet'),
		...Object.entries(inputs).map(([name, type]) => bytesField(11, port(name, type))),
		bytesField(12, port(nodes.at(-1)![2], Object.values(inputs)[0]!))
	]
	return Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), bytesField(8, varintField(2, 17))])
}

export const port = (name: string, [type, dims]: Ports[string]): Buffer => declaration(name, { type, dims })

/** Declares inputs of a graph anew, each of type float32. */
export async function declare(file: string, inputs: Record<string, (string | number)[]>): Promise<void> {
	const proto = new ProtobufFile(file)
	const rewritten = Array.from(proto.fields(), (outer) => {
		if (outer.number !== 7) {
			return proto.bytes(outer.start, outer.to)
		}
		const graph = Array.from(proto.fields(outer.from, outer.to), (field) => {
			const name = field.number === 11 ? nameOf(proto, field, 1) : ''
			const dims = inputs[name]
			return dims ? bytesField(11, port(name, [1, dims])) : proto.bytes(field.start, field.to)
		})
		return bytesField(7, Buffer.concat(graph))
	})
	proto.close()
	await writeFile(file, Buffer.concat(rewritten))
}

/** Declares a graph's weights as inputs too, as exporters did before IR version 4, and do with `keep_initializers_as_inputs`. */
export async function declareWeights(folder: string): Promise<void> {
	const file = path.join(folder, 'model.onnx')
	const proto = new ProtobufFile(file)
	const rewritten = Array.from(proto.fields(), (outer) => {
		if (outer.number !== 7) {
			return proto.bytes(outer.start, outer.to)
		}
		const graph = [...proto.fields(outer.from, outer.to)]
		const inputs = graph.flatMap((field) => {
			const tensor = field.number === 5 ? [...proto.fields(field.from, field.to)] : []
			const valuesOf = (wanted: number) => tensor.flatMap(({ number, value }) => (number === wanted ? [value] : []))
			const [type] = valuesOf(2)
			return type === undefined ? [] : [bytesField(11, port(nameOf(proto, field, 8), [type, valuesOf(1)]))]
		})
		return bytesField(7, Buffer.concat([...graph.map(({ start, to }) => proto.bytes(start, to)), ...inputs]))
	})
	proto.close()
	await writeFile(file, Buffer.concat(rewritten))
}

/** Moves a graph's weights into a file beside it, as exporters do with large ones. */
export async function moveWeights(folder: string, location = 'model.onnx_data'): Promise<void> {
	const file = path.join(folder, 'model.onnx')
	const proto = new ProtobufFile(file)
	const data: Buffer[] = []
	let offset = 0
	const rewritten = Array.from(proto.fields(), (outer) => {
		if (outer.number !== 7) {
			return proto.bytes(outer.start, outer.to)
		}
		const graph = Array.from(proto.fields(outer.from, outer.to), (field) => {
			const tensor = field.number === 5 ? [...proto.fields(field.from, field.to)] : []
			const raw = tensor.find(({ number }) => number === 9)
			if (!raw) {
				return proto.bytes(field.start, field.to)
			}
			const entries = Object.entries({ location, offset: `${offset}`, length: `${raw.to - raw.from}` })
			data.push(proto.bytes(raw.from, raw.to))
			offset += raw.to - raw.from
			const kept = tensor.filter((inner) => inner !== raw).map(({ start, to }) => proto.bytes(start, to))
			const external = entries.map(([key, value]) => bytesField(13, Buffer.concat([bytesField(1, key), bytesField(2, value)])))
			return bytesField(5, Buffer.concat([...kept, ...external, varintField(14, 1)]))
		})
		return bytesField(7, Buffer.concat(graph))
	})
	proto.close()
	await writeFile(file, Buffer.concat(rewritten))
	await writeFile(path.join(folder, location), Buffer.concat(data))
}
