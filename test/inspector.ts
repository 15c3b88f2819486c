interface Usage {
	usedSize: number
	backingStorageSize: number
}

/** V8's format: each node is as many numbers as it has fields. */
interface Snapshot {
	snapshot: { meta: { node_fields: string[]; node_types: [string[]] } }
	nodes: number[]
	strings: string[]
}

/** V8's inspector of the Worker's isolate (Chrome DevTools Protocol). */
export class Inspector {
	readonly #socket: WebSocket
	readonly #waiting = new Map<number, (result: unknown) => void>()
	/** Of a heap snapshot that is on its way. */
	#chunks: string[] = []
	#id = 0

	private constructor(socket: WebSocket) {
		this.#socket = socket
		socket.addEventListener('message', ({ data }) => {
			const { id, result, params } = JSON.parse(String(data))
			if (params?.chunk !== undefined) {
				this.#chunks.push(params.chunk)
			}
			this.#waiting.get(id)?.(result)
			this.#waiting.delete(id)
		})
	}

	static async connect(port: number): Promise<Inspector> {
		const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
			id: string
			webSocketDebuggerUrl: string
		}[]
		const socket = new WebSocket(targets.find(({ id }) => id === 'core:user:')!.webSocketDebuggerUrl)
		await new Promise((resolve, reject) => {
			socket.addEventListener('open', resolve)
			socket.addEventListener('error', reject)
		})
		const inspector = new Inspector(socket)
		await inspector.#ask('Runtime.enable')
		await inspector.#ask('HeapProfiler.enable')
		return inspector
	}

	#ask<T>(method: string): Promise<T> {
		const id = ++this.#id
		this.#socket.send(JSON.stringify({ id, method }))
		return new Promise((resolve) => this.#waiting.set(id, resolve as (result: unknown) => void))
	}

	async #used(): Promise<number> {
		const { usedSize, backingStorageSize } = await this.#ask<Usage>('Runtime.getHeapUsage')
		return usedSize + backingStorageSize
	}

	/** Done when the isolate next runs: `wake` is a request to it. */
	async #askWaking<T>(method: string, wake: () => Promise<unknown>): Promise<T> {
		let answered = false
		const answer = this.#ask<T>(method).then((result) => {
			answered = true
			return result
		})
		while (!answered) {
			await wake()
		}
		return answer
	}

	/** How many objects of a class there are, of which garbage is none. */
	async count(className: string, wake: () => Promise<unknown>): Promise<number> {
		this.#chunks = []
		await this.#askWaking('HeapProfiler.takeHeapSnapshot', wake)
		const { snapshot, nodes, strings } = JSON.parse(this.#chunks.join('')) as Snapshot
		const { node_fields: fields, node_types: types } = snapshot.meta
		const [type, name] = [fields.indexOf('type'), fields.indexOf('name')]
		let count = 0
		for (let i = 0; i < nodes.length; i += fields.length) {
			count += types[0][nodes[i + type]!] === 'object' && strings[nodes[i + name]!] === className ? 1 : 0
		}
		return count
	}

	/** Bytes at rest, and at the peak of `work` above those, as often as it answers. `wake`: a request to the isolate, which collects its garbage when it next runs. */
	async peakOf(work: () => Promise<unknown>, wake: () => Promise<unknown>): Promise<{ rest: number; more: number }> {
		await this.#askWaking('HeapProfiler.collectGarbage', wake)
		const rest = await this.#used()
		let [peak, working] = [rest, true]
		const watching = (async () => {
			while (working) {
				peak = Math.max(peak, await this.#used())
			}
		})()
		await work()
		working = false
		await watching
		return { rest, more: peak - rest }
	}

	close(): void {
		this.#socket.close()
	}
}
