import { parentPort } from 'node:worker_threads'
import { openSession, type Session } from './session.ts'
import type { Answer, Request } from './session-thread.ts'

/** The thread of session-thread.ts. */
const port = parentPort!
const sessions = new Map<number, Session>()
let served = Promise.resolve()

// One after the other: the time of a call begins when the one before it has ended.
port.on('message', (request: Request) => {
	served = served.then(() => serve(request))
})

async function serve(request: Request): Promise<void> {
	try {
		switch (request.type) {
			case 'open': {
				const session = await openSession(request.file, request.provider, () => {})
				sessions.set(request.session, session)
				answer({ got: { inputs: session.inputs, outputs: session.outputs } })
				break
			}
			case 'run': {
				const ran = await sessions.get(request.session)!.run(request.feeds, request.outputs, () => {})
				const memory = ran.outputs.map(({ data }) => (data as Float32Array<ArrayBuffer>).buffer)
				answer({ got: ran }, memory)
				break
			}
			case 'release':
				await sessions.get(request.session)!.release()
				answer({ got: undefined })
				break
		}
	} catch (error) {
		answer({ error })
	}
}

function answer(answer: Answer, memory: ArrayBuffer[] = []): void {
	port.postMessage(answer, memory)
}
