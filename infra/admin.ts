/** `npm run admin -- …`: what /v1/admin can do, from a terminal. */
import { readCommandLine } from '../shared/command-line.ts'
import { accessBy } from './cli/access.ts'
import { table } from './models/table.ts'

const usage = `npm run admin -- COMMAND ACCOUNT …

  accounts                           all of them, with plans, balances, how much each has stored, and what keeps old orders from being archived
  show ACCOUNT                       its balance, plan and limits
  set ACCOUNT                        sets its plan, and limits of its own in place of the plan's; makes the account if it is new. What is left out stays as it is
      --plan trial|standard|scale      standard at first
      --limit NAME=NUMBER|none         requests_per_minute, pictures_in_flight, spend_per_day, spend_per_month; once for each, in place of all that it had of its own
      --limit plan                     none of its own, but the plan's
  credit ACCOUNT AMOUNT REFERENCE    gives it so many micro-units, of which 1000000 are one of your currency; once under each reference. Makes the account if it is new
  debit ACCOUNT AMOUNT REFERENCE     takes back micro-units that it has not spent, in the same way
  refund ACCOUNT GENERATION          gives back what was charged for a generation
  keys ACCOUNT                       its keys
  key ACCOUNT NAME                   makes a key, and the account if it is new
      --scope generate|read|admin      any number of times; generate and read by default
      --expires TIME                   2026-01-31T12:00:00Z
      --limit NAME=NUMBER              of the key alone
  rotate ACCOUNT KEY                 makes a new key like an old one; the old one stays valid for a day
      --overlap SECONDS                or for so long
  revoke ACCOUNT KEY                 at once and for ever
  usage ACCOUNT [FROM [TO]]          delivered pictures by day (2026-01-31), model and key
  ledger ACCOUNT                     its latest 50 moves of money
      --all                            or all that are not archived
  archives ACCOUNT                   the books of old orders: their files, with a URL for each
  parked ACCOUNT                     meter events of which a person has to find out whether they were counted
  resolve ACCOUNT SINK EVENT OUTCOME    says what became of one, or of \`all\`: sent, or lost, so that it is sent again; SINK is stripe or cloudevents
  audit ACCOUNT …                    recounts the books, archives included, and looks for each retained picture; exits with 1 where anything differs

DARKROOM_URL and ADMIN_TOKEN say where and by what right; without them, those of the last \`npm start\`.`

const { values, positionals } = readCommandLine(usage, {
	options: {
		plan: { type: 'string' },
		limit: { type: 'string', multiple: true },
		scope: { type: 'string', multiple: true },
		expires: { type: 'string' },
		overlap: { type: 'string' },
		all: { type: 'boolean' }
	},
	allowPositionals: true
})

type Json = Record<string, unknown>
type Rows = Json[]

interface Command {
	/** How many words it takes, and how many at most; an account is the first. */
	takes: number
	most?: number
	options?: readonly (keyof typeof values)[]
	run(account: string, ...rest: string[]): Promise<unknown>
}

const commands: Record<string, Command> = {
	accounts: {
		takes: 0,
		run: async () =>
			(await all('', '', 'accounts')).map(({ account, plan, balance, in_flight, stored_bytes, archive_waits_for }) => ({
				account,
				plan,
				...(balance as Json),
				in_flight,
				stored_bytes,
				archive_waits_for
			}))
	},
	show: { takes: 1, run: (account) => call(account, 'GET') },
	set: {
		takes: 1,
		options: ['plan', 'limit'],
		run: (account) => call(account, 'PUT', '', { plan: values.plan, limits: ownLimits() })
	},
	credit: {
		takes: 3,
		run: (account, amount, reference) => call(account, 'POST', '/credits', { amount: sum(amount), reference })
	},
	debit: {
		takes: 3,
		run: (account, text, reference) => {
			const amount = sum(text)
			return call(account, 'POST', '/credits', { amount: typeof amount === 'number' ? -amount : amount, reference })
		}
	},
	refund: { takes: 2, run: (account, generation) => call(account, 'POST', path`/generations/${generation}/refund`) },
	keys: { takes: 1, run: (account) => all(account, '/keys', 'keys') },
	key: {
		takes: 2,
		options: ['scope', 'expires', 'limit'],
		run: (account, name) =>
			call(account, 'POST', '/keys', { name, scopes: values.scope, expires_at: values.expires, limits: limits() })
	},
	rotate: {
		takes: 2,
		options: ['overlap'],
		run: (account, key) => call(account, 'POST', path`/keys/${key}/rotate`, { overlap: numeric(values.overlap) })
	},
	revoke: { takes: 2, run: (account, key) => call(account, 'DELETE', path`/keys/${key}`) },
	usage: {
		takes: 1,
		most: 3,
		run: async (account, from, to) =>
			(await call(account, 'GET', `/usage?${new URLSearchParams({ ...(from && { from }), ...(to && { to }) })}`)).usage
	},
	ledger: {
		takes: 1,
		options: ['all'],
		run: async (account) =>
			values.all ? all(account, '/ledger?limit=500', 'entries') : (await call(account, 'GET', '/ledger')).entries
	},
	archives: {
		takes: 1,
		run: async (account) =>
			(await all(account, '/archives', 'archives')).map(({ first, last, generations, amounts, url }) => ({
				first,
				last,
				generations,
				...(amounts as Json),
				url
			}))
	},
	parked: {
		takes: 1,
		run: async (account) =>
			(await all(account, '/metering/events?state=parked', 'events')).map(
				({ pictures: _, state: __, sent_at: ___, ...event }) => event
			)
	},
	resolve: {
		takes: 4,
		run: (account, sink, event, outcome) =>
			call(account, 'POST', `${path`/metering/events/${sink}`}${event === 'all' ? '' : path`/${event}`}/resolve`, { outcome })
	},
	audit: { takes: 1, most: Number.POSITIVE_INFINITY, run: (...accounts) => auditAll(accounts) }
}

const [name = '', ...words] = positionals
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (positionals.length === 0) {
	console.log(usage)
} else if (!command) {
	fail(`expected ${Object.keys(commands).join(', ')}, got ${name}; --help says what each does`)
} else if (words.length < command.takes || words.length > (command.most ?? command.takes)) {
	const [, takes] = new RegExp(`^ {2}(${name}\\b.*?) {2,}`, 'm').exec(usage)!
	fail(`expected ${takes}, got ${positionals.join(' ')}; --help tells more`)
} else {
	const strange = Object.keys(values).find((option) => !command.options?.some((known) => known === option))
	if (strange) {
		fail(`${name}: takes no --${strange}`)
	}
	// In a path these would lead elsewhere.
	const empty = words.find((word) => /^\.{0,2}$/.test(word))
	if (empty !== undefined) {
		fail(`${name}: expected a name, got ${JSON.stringify(empty)}`)
	}
	const [account = '', ...rest] = words
	print(await command.run(account, ...rest).catch((error: Error) => fail(error.message)))
}

async function call(account: string, method: string, below = '', body?: Json): Promise<Json> {
	const { url, token } = accessBy('ADMIN_TOKEN')
	const answer = await fetch(`${url}/v1/admin/accounts${account && path`/${account}`}${below}`, {
		method,
		headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
		...(body && { body: JSON.stringify(body) })
	}).catch((error: Error) => {
		throw new Error(`no answer from ${url}: ${(error.cause as Error | undefined)?.message || error.message}`)
	})
	const text = await answer.text()
	const said = parsed(text || '{}')
	if (said === undefined) {
		throw new Error(
			`expected JSON from ${answer.url}, got ${answer.status} with ${answer.headers.get('content-type') ?? 'no type'}`
		)
	}
	if (!answer.ok) {
		throw new Error(`the edge answered ${answer.status}: ${said.detail ?? text}`)
	}
	return said
}

/** Undefined where it is no JSON, as a page of whatever stands between. */
function parsed(text: string): Json | undefined {
	try {
		return JSON.parse(text)
	} catch {
		return undefined
	}
}

/** A path with what somebody typed in it, each as one part of it. */
function path(parts: TemplateStringsArray, ...typed: string[]): string {
	return String.raw({ raw: parts }, ...typed.map(encodeURIComponent))
}

/** A number that somebody typed; what is none goes as it is, for the edge to tell what it expected. */
function numeric(text?: string): number | string | undefined {
	return text?.trim() && Number.isFinite(Number(text)) ? Number(text) : text
}

/** An amount of money: one below zero would do what the other command is there for. */
function sum(text?: string): number | string | undefined {
	const amount = numeric(text)
	return typeof amount === 'number' && amount <= 0 ? fail(`${name}: expected an amount above 0, got ${text}`) : amount
}

/** Undefined where they stay as they are. */
function ownLimits(): Json | undefined {
	const [first, ...more] = values.limit ?? []
	return first === undefined ? undefined : first === 'plan' && more.length === 0 ? {} : limits()
}

function limits(): Json {
	return Object.fromEntries(
		(values.limit ?? []).map((text) => {
			const [name = '', ...value] = text.split('=')
			return [name, value[0] === 'none' ? null : numeric(value.join('='))]
		})
	)
}

/** A list, page by page. */
async function all(account: string, path: string, name: string): Promise<Rows> {
	const rows: Rows = []
	for (let cursor: unknown = ''; cursor !== null; ) {
		const page = await call(account, 'GET', `${path}${cursor && `${path.includes('?') ? '&' : '?'}cursor=${cursor}`}`)
		rows.push(...(page[name] as Rows))
		for (const each of (page.unavailable as string[]) ?? []) {
			console.error(`${each}: it gave no answer; the log of the edge has the reason`)
			process.exitCode = 1
		}
		cursor = page.next
	}
	return rows
}

async function auditAll(accounts: string[]): Promise<Rows> {
	const rows: Rows = []
	for (const account of accounts) {
		const tell = (what: string) => {
			console.error(`${account}: ${what}`)
			process.exitCode = 1
		}
		const row = { account, objects: 0, differences: 0 }
		try {
			for (let cursor: string | null = ''; cursor !== null; ) {
				const page = (await call(account, 'POST', `/audit${cursor && `?cursor=${cursor}`}`)) as unknown as AuditPage
				page.differences.forEach(tell)
				row.objects += page.objects
				row.differences += page.differences.length
				cursor = page.next
			}
			rows.push(row)
		} catch (error) {
			tell(`not audited to the end: ${(error as Error).message}`)
		}
	}
	return rows
}

interface AuditPage {
	differences: string[]
	objects: number
	next: string | null
}

function print(result: unknown): void {
	if (!Array.isArray(result)) {
		console.log(table(Object.entries(result as Json).map(([field, value]) => [field, cell(value)])))
	} else if (result.length === 0) {
		console.log('nothing')
	} else {
		const columns = Object.keys(result[0])
		console.log(table([columns, ...result.map((row) => columns.map((column) => cell(row[column])))]))
	}
}

function cell(value: unknown): string {
	if (value === null || value === undefined) {
		return '–'
	}
	if (Array.isArray(value)) {
		return value.join(', ')
	}
	return typeof value === 'object'
		? Object.entries(value)
				.map(([name, part]) => `${name} ${cell(part)}`)
				.join(', ')
		: String(value)
}

function fail(message: string): never {
	console.error(`admin: ${message}`)
	process.exit(1)
}
