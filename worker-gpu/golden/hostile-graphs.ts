import { declaration, encoded, newNode } from '../onnx/new-node.ts'
import { bytesField, varintField } from '../onnx/protobuf.ts'

const [float32, int64, bool] = [1, 7, 9]
const picture = ['batch', 'channels', 'height', 'width']
const value = (name: string, type: number, dims: readonly string[]) => declaration(name, { type, dims })

/** A model.onnx, by the field numbers of onnx.proto: y is a picture, as x is. */
function graphOf(x: string, y: string, node: Buffer, constant: Buffer): Buffer {
	const ends = [bytesField(11, value(x, float32, picture)), bytesField(12, value(y, float32, picture))]
	const graph = Buffer.concat([bytesField(1, node), bytesField(2, 'graph'), bytesField(5, constant), ...ends])
	return Buffer.concat([varintField(1, 8), bytesField(8, varintField(2, 17)), bytesField(7, graph)])
}

/** A graph whose one node fails, by the name that ONNX Runtime tells it by. */
export function failingGraph(x: string, y: string, failure: string): Buffer {
	const dims = [3, 5, 7, 11].map((size) => varintField(7, size))
	const constant = Buffer.concat([varintField(1, dims.length), varintField(2, int64), ...dims, bytesField(8, 'dims')])
	return graphOf(x, y, Buffer.concat([encoded(newNode('Reshape', [x, 'dims'], y)), bytesField(3, failure)]), constant)
}

/** A graph that ONNX Runtime never comes out of: y = x, again and again, for as long as true is true. */
export function endlessGraph(x: string, y: string): Buffer {
	const body = Buffer.concat([
		...[newNode('Identity', ['go'], 'on'), newNode('Identity', ['x'], 'y')].map((node) => bytesField(1, encoded(node))),
		bytesField(2, 'body'),
		...[value('turn', int64, []), value('go', bool, []), value('x', float32, picture)].map((input) => bytesField(11, input)),
		...[value('on', bool, []), value('y', float32, picture)].map((output) => bytesField(12, output))
	])
	const attribute = Buffer.concat([bytesField(1, 'body'), bytesField(6, body), varintField(20, 5)])
	const yes = Buffer.concat([varintField(2, bool), bytesField(8, 'yes'), bytesField(9, Buffer.from([1]))])
	return graphOf(x, y, encoded(newNode('Loop', ['', 'yes', x], y, [attribute])), yes)
}
