import { FLOAT, INT64 } from '../onnx/graph.ts'
import { encoded, newNode } from '../onnx/new-node.ts'
import { bytesField, varintField } from '../onnx/protobuf.ts'
import { newGraph, newModel, newWeights } from './new-model.ts'

const BOOL = 9
const one = (type: number) => ({ type, dims: [] })
const picture = { type: FLOAT, dims: ['batch', 'channels', 'height', 'width'] }

/** y is a picture, as x is. */
const modelOf = (x: string, y: string, node: Buffer, constant: Buffer): Buffer =>
	newModel({ nodes: [node], weights: [constant], inputs: { [x]: picture }, outputs: { [y]: picture } })

/** A graph whose one node fails, by the name that ONNX Runtime tells it by. */
export function failingGraph(x: string, y: string, failure: string): Buffer {
	const dims = newWeights('dims', INT64, [4], ...[3, 5, 7, 11].map((size) => varintField(7, size)))
	return modelOf(x, y, Buffer.concat([encoded(newNode('Reshape', [x, 'dims'], y)), bytesField(3, failure)]), dims)
}

/** A graph that ONNX Runtime never comes out of: y = x, again and again, for as long as true is true. */
export function endlessGraph(x: string, y: string): Buffer {
	const body = newGraph({
		nodes: [newNode('Identity', ['go'], 'on'), newNode('Identity', ['x'], 'y')].map(encoded),
		inputs: { turn: one(INT64), go: one(BOOL), x: picture },
		outputs: { on: one(BOOL), y: picture }
	})
	const attribute = Buffer.concat([bytesField(1, 'body'), bytesField(6, body), varintField(20, 5)])
	const yes = newWeights('yes', BOOL, [], bytesField(9, Buffer.from([1])))
	return modelOf(x, y, encoded(newNode('Loop', ['', 'yes', x], y, [attribute])), yes)
}
