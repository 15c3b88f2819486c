import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { type ChildSpec, Supervisor } from './supervisor.ts'

const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
const command = join(folder, 'child')
afterEach(() => rmSync(command, { force: true }))

const spec: ChildSpec = { name: 'child', command, args: [], ready: /ready/, stop: 'SIGTERM' }

function supervise() {
	const told: string[] = []
	const fail = (message: string) => expect.unreachable(message)
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
