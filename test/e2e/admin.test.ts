import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BareEdge, startBareEdge } from '../edge.ts'
import { root } from '../root.ts'

let edge: BareEdge
beforeAll(async () => {
	edge = await startBareEdge()
})
afterAll(() => edge?.close())

const adminIn = (env: Record<string, string>, ...args: string[]) =>
	promisify(execFile)(process.execPath, [join(root, 'infra/admin.ts'), ...args], { env: { ...process.env, ...env } })
const admin = (...args: string[]) => adminIn({ DARKROOM_URL: edge.url, ADMIN_TOKEN: edge.adminToken }, ...args)

it('makes an account that can order, and shows its books', async ({ task }) => {
	const acme = `acme${task.result?.retryCount || ''}` // No other try's.
	const { stdout: made } = await admin('key', acme, 'shop', '--scope', 'generate', '--limit', 'requests_per_minute=9')
	const [, key] = new RegExp(`^key +(dk_${acme}_\\S+)$`, 'm').exec(made)!
	await admin('set', acme, '--plan', 'trial', '--limit', 'pictures_in_flight=5')
	await admin('credit', acme, '100000', 'invoice-1')
	expect((await admin('show', acme)).stdout).toMatch(/available 100000[\s\S]*trial[\s\S]*pictures_in_flight 5/)
	const answer = await fetch(`${edge.url}/v1/generations`, {
		method: 'POST',
		headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
		body: JSON.stringify({ model: 'scenes', prompt: 'a red sphere' })
	})
	expect(answer.status).toBe(202)
	expect(answer.headers.get('ratelimit-policy')).toContain('"key";q=9;w=60')
	expect((await admin('accounts')).stdout).toMatch(
		new RegExp(`account +plan +available[\\s\\S]*${acme} +trial +98590 +1410 +0 +1 +\\d{5,6} +–`)
	)
	await admin('debit', acme, '90', 'invoice-1a')
	expect((await admin('credit', acme, '90', 'invoice-1b')).stdout).toMatch(/available +98590\n/)
	await expect(admin('debit', acme, 'all', 'invoice-1c')).rejects.toMatchObject({
		stderr: expect.stringMatching(/expected .*number.*, got "all"/)
	})
	for (const command of ['credit', 'debit']) {
		await expect(admin(command, '--', acme, '-90', 'invoice-1d')).rejects.toMatchObject({
			stderr: `admin: ${command}: expected an amount above 0, got -90\n`
		})
	}
	expect((await admin('set', acme, '--limit', 'spend_per_day=none')).stdout).toMatch(/trial[\s\S]*pictures_in_flight 16/)
	expect((await admin('set', acme, '--limit', 'pictures_in_flight=7')).stdout).toMatch(/trial[\s\S]*pictures_in_flight 7/)
	expect((await admin('set', acme, '--plan', 'standard')).stdout).toMatch(/standard[\s\S]*pictures_in_flight 7/)
	expect((await admin('set', acme, '--limit', 'plan')).stdout).toMatch(/standard[\s\S]*pictures_in_flight 1000/)
	const { stdout: ledger } = await admin('ledger', acme)
	expect(ledger).toMatch(/1410 .* hold +available +held/)
	expect(ledger).toMatch(/90 .* invoice-1a .* debit +available +funds/)
	expect(ledger).toMatch(/100000 .* invoice-1 .* credit +funds +available/)
	expect((await admin('audit', acme)).stdout).toMatch(new RegExp(`${acme} +0 +0`))
	await expect(admin('audit', 'nobody', acme)).rejects.toMatchObject({
		code: 1,
		stdout: expect.stringMatching(new RegExp(`${acme} +0 +0`)),
		stderr: 'nobody: not audited to the end: the edge answered 404: There is no such account.\n'
	})
	expect((await admin('archives', acme)).stdout).toBe('nothing\n')
	expect((await admin('parked', acme)).stdout).toBe('nothing\n')
	const batch = 'mtr_0'.padEnd(30, '0')
	await expect(admin('resolve', acme, 'stripe', batch, 'lost')).rejects.toMatchObject({
		stderr: `admin: the edge answered 404: No batch ${batch} is parked for stripe.\n`
	})
	expect((await admin('resolve', acme, 'stripe', 'all', 'sent')).stdout).toMatch(/^resolved +0$/m)
	const [, id] = /(key_\S+) +shop/.exec((await admin('keys', acme)).stdout)!
	await admin('revoke', acme, id!)
	expect((await fetch(`${edge.url}/v1/generations`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(401)
})

it('shows all of a ledger that is asked for, beyond its pages', async () => {
	const credits = Array.from({ length: 501 }, (_, i) => ({ amount: 1, reference: `gift-${i}` }))
	await Promise.all(
		credits.map((credit) =>
			fetch(`${edge.url}/v1/admin/accounts/giver/credits`, {
				method: 'POST',
				headers: { authorization: `Bearer ${edge.adminToken}`, 'content-type': 'application/json' },
				body: JSON.stringify(credit)
			})
		)
	)
	const gifts = async (...words: string[]) => {
		const { stdout } = await admin('ledger', 'giver', ...words)
		return new Set(stdout.match(/gift-\d+/g)).size
	}
	expect([await gifts(), await gifts('--all')]).toEqual([50, 501])
})

it('says what it expected', async () => {
	await expect(admin('credit', 'acme')).rejects.toMatchObject({
		code: 1,
		stderr: 'admin: expected credit ACCOUNT AMOUNT REFERENCE, got credit acme; --help tells more\n'
	})
	await expect(admin('pay')).rejects.toMatchObject({
		stderr: expect.stringMatching(/^admin: expected accounts, .*, got pay;[^\n]*\n$/)
	})
	await expect(admin('show', 'nobody')).rejects.toMatchObject({
		code: 1,
		stderr: 'admin: the edge answered 404: There is no such account.\n'
	})
	// What is no number must not become none, which for a limit is "without".
	for (const words of [
		['credit', 'acme', 'ten', 'invoice-2'],
		['set', 'acme', '--limit', 'spend_per_day=ten'],
		['rotate', 'acme', 'key_0'.padEnd(30, '0'), '--overlap', 'ten']
	]) {
		await expect(admin(...words)).rejects.toMatchObject({ stderr: expect.stringMatching(/expected .*number.*, got "ten"/) })
	}
	// Nor what is no finite one: JSON has none.
	await expect(admin('set', 'acme', '--limit', 'spend_per_day=1e999')).rejects.toMatchObject({
		stderr: expect.stringMatching(/expected .*number.*, got "1e999"/)
	})
	await expect(admin('set', 'acme', '--limit', 'spend_per_day=5=6')).rejects.toMatchObject({
		stderr: expect.stringMatching(/expected .*number.*, got "5=6"/)
	})
	await expect(admin('key', 'acme', 'till', '--plan', 'trial')).rejects.toMatchObject({ stderr: 'admin: key: takes no --plan\n' })
	expect((await admin('--help')).stdout).toContain('npm run admin')
})

it.each(['', '.', '..'])('takes %j for no name of anything, which would lead elsewhere', async (word) => {
	const stderr = expect.stringContaining(`: expected a name, got ${JSON.stringify(word)}\n`)
	await expect(admin('show', word)).rejects.toMatchObject({ stderr })
	await expect(admin('revoke', 'acme', word)).rejects.toMatchObject({ stderr })
})

it('encodes what it puts into paths, so that no name leads to another account', async () => {
	// Such a path would be that of another account's events.
	const elsewhere = ['../../../other/metering/events/stripe', 'stripe/x?y#z']
	for (const words of [...elsewhere.map((sink) => [sink, 'all']), ...elsewhere.map((event) => ['stripe', event])]) {
		await expect(admin('resolve', 'acme', ...words, 'sent')).rejects.toMatchObject({
			stderr: expect.stringContaining(encodeURIComponent(words.find((word) => elsewhere.includes(word))!))
		})
	}
	await expect(admin('revoke', 'acme', '../../acme/keys/x?y#z')).rejects.toMatchObject({
		stderr: expect.stringContaining('the edge answered 4')
	})
})

it('says what stands between it and its edge', async () => {
	let status = 502
	const between = createServer((_, response) => response.writeHead(status, { 'content-type': 'text/html' }).end('<html>'))
	await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
	const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
	for (status of [502, 200]) {
		await expect(adminIn({ DARKROOM_URL: url, ADMIN_TOKEN: 'x' }, 'accounts')).rejects.toMatchObject({
			stderr: `admin: expected JSON from ${url}/v1/admin/accounts, got ${status} with text/html\n`
		})
	}
	between.closeAllConnections()
	between.close()
})

it('says where it had no answer, and never goes to another Darkroom than the one that is named', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'darkroom-'))
	const file = join(dataDir, 'dev.json')
	const nowhere = { url: 'http://127.0.0.1:9', adminToken: 'x' }
	writeFileSync(file, JSON.stringify(nowhere))
	const here = { DATA_DIR: dataDir, DARKROOM_URL: '', ADMIN_TOKEN: '' }
	await expect(adminIn(here, 'accounts')).rejects.toMatchObject({
		stderr: expect.stringMatching(/^admin: no answer from http:\/\/127\.0\.0\.1:9: .+\n$/)
	})
	await expect(adminIn({ DARKROOM_URL: 'localhost:8787', ADMIN_TOKEN: 'x' }, 'accounts')).rejects.toMatchObject({
		stderr: 'admin: DARKROOM_URL: expected an address such as https://darkroom.example, got localhost:8787\n'
	})
	await expect(adminIn({ DARKROOM_URL: edge.url, ADMIN_TOKEN: '…' }, 'accounts')).rejects.toMatchObject({
		stderr: 'admin: ADMIN_TOKEN: expected plain letters, digits and signs, got others too\n'
	})
	for (const half of [{ DARKROOM_URL: edge.url }, { ADMIN_TOKEN: edge.adminToken }]) {
		await expect(adminIn({ ...here, ...half }, 'accounts')).rejects.toMatchObject({
			stderr: expect.stringContaining('admin: expected both DARKROOM_URL and ADMIN_TOKEN in the environment, or neither')
		})
	}
	writeFileSync(file, '{"url"')
	await expect(adminIn(here, 'accounts')).rejects.toMatchObject({
		stderr: expect.stringContaining(`${file}: expected what \`npm start\` writes there, got `)
	})
	rmSync(dataDir, { recursive: true })
})
