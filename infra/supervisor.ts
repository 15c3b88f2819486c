import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** EX_CONFIG of sysexits.h: trying again would end the same way. */
const CONFIGURATION_ERROR = 78
/** Starts of a child that was never ready, after which it is not tried again. It may be waited for, and what is not over in ten seconds will not be in an hour. */
const MOST_STARTS = 6

export interface ChildSpec {
	name: string
	command: string
	args: string[]
	env?: Record<string, string>
	/** A line of its output that says that it is ready. */
	ready: RegExp
	/** Lines that are not worth a terminal's room. */
	hide?: RegExp
	stop: NodeJS.Signals
	/** Opens a channel, by whose end a Node child notices that we are gone. */
	ipc?: boolean
}

/** Keeps children running: names the one that dies and starts it again, and stops them all at the end. */
export class Supervisor {
	readonly #children = new Map<string, ChildProcess>()
	readonly #log: (name: string, line: string) => void
	readonly #fatal: (message: string) => void
	readonly #note: (pids: number[]) => void
	readonly #seenReady = new Set<string>()
	#stopping = false

	/** `fatal` is called when a child says that its configuration is wrong or cannot be started at all, `note` with all that run whenever one is started. */
	constructor(log: (name: string, line: string) => void, fatal: (message: string) => void, note: (pids: number[]) => void) {
		this.#log = log
		this.#fatal = fatal
		this.#note = note
	}

	/** Starts a child; resolves when it is ready for the first time. */
	start(spec: ChildSpec): Promise<void> {
		return new Promise((resolve) => this.#spawn(spec, 0, resolve))
	}

	#spawn(spec: ChildSpec, failures: number, onReady: () => void): void {
		if (this.#stopping) {
			return
		}
		const child = spawn(spec.command, spec.args, {
			env: { ...process.env, ...spec.env },
			stdio: ['ignore', 'pipe', 'pipe', ...(spec.ipc ? ['ipc' as const] : [])],
			// A group of its own: Ctrl-C reaches it through us, and what it leaves behind can be stopped with it.
			detached: true
		})
		this.#children.set(spec.name, child)
		this.#note([...this.#children.values()].flatMap(({ pid }) => pid ?? []))
		let failed = failures + 1
		for (const stream of [child.stdout, child.stderr]) {
			createInterface({ input: stream! }).on('line', (line) => {
				if (spec.ready.test(line)) {
					failed = 0
					this.#seenReady.add(spec.name)
					onReady()
				}
				if (!spec.hide?.test(line)) {
					this.#log(spec.name, line)
				}
			})
		}
		const ended = (how: string, code?: number | null) => {
			this.#children.delete(spec.name)
			if (this.#stopping) {
				return
			}
			if (code === CONFIGURATION_ERROR) {
				this.#fatal(`${spec.name} cannot run as configured (see its line above)`)
				return
			}
			if (failed >= MOST_STARTS && !this.#seenReady.has(spec.name)) {
				this.#fatal(`${spec.name} ${how}, as it does each time that it is started (see its lines above)`)
				return
			}
			this.#log(spec.name, `${how}; starting it again`)
			setTimeout(() => this.#spawn(spec, failed, onReady), Math.min(200 * 2 ** failed, 10_000))
		}
		child.once('error', (error) => child.pid ?? ended(`cannot start: ${error.message}`))
		child.once('exit', (code, signal) => {
			killGroup(child, 'SIGKILL') // Its own children, if it left any.
			ended(`ended with ${signal ?? `exit code ${code}`}`, code)
		})
	}

	/** Asks every child to stop, and after `grace` milliseconds makes it. */
	async stop(specs: readonly ChildSpec[], grace: number): Promise<void> {
		this.#stopping = true
		await Promise.all(
			specs.map(async ({ name, stop }) => {
				const child = this.#children.get(name)
				if (child?.pid === undefined) {
					return
				}
				const exited = new Promise((resolve) => child.once('exit', resolve))
				child.kill(stop)
				const timer = setTimeout(() => killGroup(child, 'SIGKILL'), grace)
				await exited
				clearTimeout(timer)
			})
		)
	}
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
	try {
		process.kill(-child.pid!, signal)
	} catch {
		// The group is gone, which is what was asked for.
	}
}
