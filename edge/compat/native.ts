import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { Scope } from '../../shared/contract/account.ts'
import type { GenerationEvent } from '../../shared/contract/events.ts'
import { type Generation, isTerminal } from '../../shared/contract/generation.ts'
import { Problem } from '../../shared/contract/problem.ts'
import { followed } from '../../shared/followed.ts'
import type { App } from '../app.ts'
import { expectKeyIn } from '../bearer.ts'
import { handOver } from '../body.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import type { Key } from '../keys.ts'

/** Seconds; the longest that the native API holds a request. */
const longestWait = 60
/** Times in a row that it may fail to tell how what was ordered stands, and milliseconds between them. */
const mostFaults = 10
const pause = 1_000

/** The native API said no. Adapters say it in their own words. */
export class Refused extends Error {
	override name = 'Refused' as const
	readonly problem: Problem
	readonly headers: Headers

	constructor(problem: Problem, headers: Headers) {
		super(problem.detail)
		this.problem = problem
		this.headers = headers
	}
}

/** What a client shows as its key: each vendor has a word of its own before it, and Azure a header. */
const tokenOf = ({ req }: Context): string =>
	(req.header('authorization') ?? req.header('api-key') ?? '').replace(/^(bearer|token|key) +/i, '')

/** A client's key; throws where it is none of ours. */
export const clientKey = (c: Context<App>): Key => expectKeyIn(c.var.env, tokenOf(c))

/** For what is no secret, but what people, and programs, ask for to find out whether a key is good. */
export async function expectValidKey(c: Context<App>): Promise<void> {
	const { account, hash } = clientKey(c)
	unwrap(await c.var.env.ACCOUNT.getByName(account).expectKey(hash, ...Scope.options))
}

/** Turns away who has no genuine key before anything of a large body is read. */
export const withClientKey = createMiddleware<App>(async function withClientKey(c, next) {
	c.set('account', clientKey(c).account)
	await next()
})

interface Options {
	method?: string
	body?: unknown
	headers?: Record<string, string>
}

/**
 * The native API on behalf of an adapter's client: with the client's own headers, through the same door as everyone, so that an adapter can
 * neither forget a check nor see more than its client may.
 */
export class Native {
	readonly #app: OpenAPIHono<App>
	readonly #c: Context<App>
	readonly #token: string
	readonly #query: URLSearchParams
	/** Of the latest answer: limits, the generation's location. */
	headers = new Headers()

	/** `query`: the client's, where it is not that of its request. */
	constructor(app: OpenAPIHono<App>, c: Context<App>, query = new URL(c.req.url).searchParams) {
		this.#query = query
		this.#app = app
		this.#c = c
		this.#token = tokenOf(c)
	}

	get key(): Key {
		return clientKey(this.#c)
	}

	/** Whose key it is. */
	get account(): string {
		return this.key.account
	}

	/** The answer, when it is a success. Throws Refused. */
	async call(path: string, { method = 'GET', body, headers = {} }: Options = {}): Promise<Response> {
		const { req, env, executionCtx } = this.#c
		const sent = new Headers(req.raw.headers)
		for (const name of ['content-length', 'content-encoding', 'transfer-encoding', 'content-type', 'prefer', 'accept']) {
			sent.delete(name)
		}
		// It was counted by the flood guard when it came.
		sent.delete('cf-connecting-ip')
		sent.set('authorization', `Bearer ${this.#token}`)
		sent.set('x-request-id', this.#c.var.requestId)
		for (const [name, value] of Object.entries(headers)) {
			sent.set(name, value)
		}
		const request = new Request(new URL(path, req.url), { method, headers: sent })
		if (body !== undefined) {
			handOver(this.#c, request, body)
		}
		const answer = await this.#app.fetch(request, env, executionCtx)
		this.headers = answer.headers
		if (!answer.ok) {
			throw new Refused(Problem.parse(await answer.json()), answer.headers)
		}
		return answer
	}

	async json<T>(path: string, options: Options = {}): Promise<T> {
		return (await this.call(path, options)).json<T>()
	}

	/** Posts a generation; with `wait` as it stands after at most so many seconds. No vendor has an answer for a dry run, and whoever asks for one wants no order. */
	async order(body: unknown, wait?: number): Promise<Generation> {
		if (this.#query.has('dry_run')) {
			const detail = 'dry_run: expected at POST /v1/generations alone, which tells what an order would cost; nothing was ordered.'
			throw new ProblemError({ code: 'invalid-request', detail })
		}
		return this.json('/v1/generations', { method: 'POST', body, headers: preferring(wait) })
	}

	generation(id: string, wait?: number): Promise<Generation> {
		return this.json(this.#at(id), { headers: preferring(wait) })
	}

	cancel(id: string): Promise<Generation> {
		return this.json(`${this.#at(id)}/cancel`, { method: 'POST' })
	}

	/** The generation once it has ended. It was accepted: a client that hears of a fault that passes would order it again. */
	async ended(generation: Generation): Promise<Generation> {
		let latest = generation
		for (let faults = 0; !isTerminal(latest.status); ) {
			try {
				latest = await this.generation(latest.id, longestWait)
				faults = 0
			} catch (error) {
				faults += 1
				if (faults > mostFaults || !mayPass(error)) {
					throw error
				}
				await scheduler.wait(pause)
			}
		}
		return latest
	}

	/** What happens to a generation until it has ended. */
	events(id: string): AsyncGenerator<GenerationEvent> {
		const open = async (lastId: string | undefined) =>
			(await this.call(`${this.#at(id)}/events`, { headers: lastId === undefined ? {} : { 'last-event-id': lastId } })).body
		return followed(open, { mayPass })
	}

	/** Its path, which clients of an adapter do not know, and are not told where nothing can be. */
	#at(id: string): string {
		if (!GenerationId.safeParse(id).success) {
			clientKey(this.#c)
			throw new ProblemError({ code: 'not-found', detail: `This account has no generation ${id}.` })
		}
		return `/v1/generations/${id}`
	}
}

/** Whether it is a fault that may pass by itself. */
const mayPass = (error: unknown) => (error instanceof Refused ? error.problem.status >= 500 : !(error instanceof ProblemError))

const preferring = (wait: number | undefined): Record<string, string> => (wait === undefined ? {} : { prefer: `wait=${wait}` })
