/// <reference types="@cloudflare/vitest-plugin/types" />
import { exports, env as raw } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import type { Warning } from '../shared/contract/generation.ts'
import type { Order } from '../shared/contract/order.ts'
import type { Problem } from '../shared/contract/problem.ts'
import { randomText } from '../shared/ids.ts'
import { uniform } from '../test/uniform.ts'
import type { Accepted, Account } from './account/account.ts'
import type { Work } from './callbacks/capability.ts'
import { jobFor } from './callbacks/capability.ts'
import { parseEnv } from './env.ts'
import type { Answer } from './errors.ts'
import { type Json, pack, unpack } from './json.ts'

export const env = parseEnv(raw)

export const fetchEdge = (path: string, init?: RequestInit) => exports.default.fetch(`http://edge.test${path}`, init)

const sends =
	(method: 'POST' | 'PUT' | 'PATCH') =>
	(path: string, bearer: string | undefined, body: unknown, headers: Record<string, string> = {}) =>
		fetchEdge(path, {
			method,
			headers: { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }), ...headers },
			body: typeof body === 'string' ? body : JSON.stringify(body)
		})
export const post = sends('POST')
export const put = sends('PUT')
export const patch = sends('PATCH')

export const get = (path: string, bearer: string, headers: Record<string, string> = {}) =>
	fetchEdge(path, { headers: { authorization: `Bearer ${bearer}`, ...headers }, redirect: 'manual' })

export const remove = (path: string, bearer: string) =>
	fetchEdge(path, { method: 'DELETE', headers: { authorization: `Bearer ${bearer}` } })

/** Micro-units: enough for whatever a test orders. */
export const plenty = 1_000_000_000

/** A new account with a key for everything, and plenty of credit. */
export async function newAccount(): Promise<{ account: string; key: string }> {
	const account = `t-${randomText(10)}`
	const { key } = await (
		await post(`/v1/admin/accounts/${account}/keys`, env.ADMIN_TOKEN, { scopes: ['generate', 'read', 'admin'] })
	).json<{ key: string }>()
	await post(`/v1/admin/accounts/${account}/credits`, env.ADMIN_TOKEN, { amount: plenty, reference: 'a test' })
	return { account, key }
}

/** What the admin's audit finds of an account that it needs one page for. */
export async function auditOf(account: string): Promise<{ differences: string[]; objects: number }> {
	const { next, ...found } = await (await post(`/v1/admin/accounts/${account}/audit`, env.ADMIN_TOKEN, {})).json<{
		differences: string[]
		objects: number
		next: string | null
	}>()
	expect(next).toBeNull()
	return found
}

/** For each test of a suite, a clock that stands until the test sets it. */
export function stopClock(): void {
	beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
	afterEach(() => void vi.useRealTimers())
}

/** Orders from the Account itself. */
export const submitTo = async (
	account: DurableObjectStub<Account>,
	key: string,
	order: Order,
	warnings: readonly Warning[] = []
): Promise<Answer<Accepted>> => {
	const answered: Json<Answer<Accepted>> = await account.submit(key, pack({ order, warnings, repeat: undefined }))
	return unpack(answered)
}

/** Speaks as a GPU node about one epoch. */
export const call = (work: Work, name: string, body: unknown, token = jobFor(env, work).token) =>
	post(`/callbacks/${work.account}/${work.generation}/${work.epoch}/${name}`, token, body)

/** Delivers one picture as a GPU node that has started does: four bytes, of which the edge takes its word that they are a PNG. */
export async function deliver(work: Work, n: number, seed: number): Promise<void> {
	const httpMetadata = { contentType: 'image/png' }
	await env.BUCKET.put(`${work.generation}/${work.epoch}/${n}`, 'test', { httpMetadata })
	const seen = { n, size: 4, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png', width: 128, height: 128, seed }
	const answer = await call(work, 'image', seen)
	if (!answer.ok) {
		throw new Error(`picture ${n} was refused: ${await answer.text()}`)
	}
}

/** Status and code of a problem. */
export async function codeOf(answer: Response): Promise<string> {
	const { type } = await answer.json<Problem>()
	return `${answer.status} ${type.replace('urn:darkroom:problem:', '')}`
}

/** For `vi.waitFor`: what a busy machine takes; a second is too short there. */
export const patience = { timeout: 10_000, interval: 50 }

/** Whole numbers from 0 up to below another: the same seed makes the same run. */
export function random(seed: number): (below: number) => number {
	const draw = uniform(seed)
	return (below) => Math.floor(draw() * below)
}
