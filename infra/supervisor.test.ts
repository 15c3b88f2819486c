import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { type ChildSpec, Supervisor } from './supervisor.ts'

const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
const command = join(folder, 'child')
afterEach(() => rmSync(command, { force: true }))

const spec: ChildSpec = { name: 'child', command, args: [], ready: /ready/, stop: 'SIGTERM' }

function supervise(fail = (message: string): void => expect.unreachable(message)) {
	const told: string[] = []
	return {
		told,
		supervisor: new Supervisor(
			(_, line) => told.push(line),
			fail,
			() => {}
		)
	}
}

it('starts again what could not be started', async () => {
	const { told, supervisor } = supervise()
	const ready = supervisor.start(spec)
	await expect.poll(() => told).toEqual([`cannot start: spawn ${command} ENOENT; starting it again`])
	writeFileSync(command, '#!/bin/sh\necho ready; exec sleep 1000')
	chmodSync(command, 0o700)
	await ready
	await supervisor.stop([spec], 10_000)
})

it('stops where something cannot be started, and starts nothing from then on', async () => {
	const { told, supervisor } = supervise()
	void supervisor.start(spec)
	await supervisor.stop([spec], 10_000)
	void supervisor.start(spec)
	expect(told).toEqual([])
})

it('gives up what was never ready', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout'] })
	const failure = vi.fn()
	const { told, supervisor } = supervise(failure)
	void supervisor.start(spec)
	for (let failed = 1; failed < 6; failed++) {
		await expect.poll(() => told.length).toBe(failed)
		expect(failure).not.toHaveBeenCalled()
		vi.advanceTimersByTime(10_000)
	}
	await expect
		.poll(() => failure.mock.calls)
		.toEqual([[expect.stringMatching(/^child cannot start: .* each time that it is started/)]])
	vi.useRealTimers()
})
