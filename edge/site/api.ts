import type { Problem } from '../../shared/contract/problem.ts'

const slot = 'darkroom-key'

/** The API key, entered once and kept until the tab is closed. */
export const key = {
	get: (): string | undefined => sessionStorage.getItem(slot) ?? undefined,
	set: (text: string): void => sessionStorage.setItem(slot, text),
	forget: (): void => sessionStorage.removeItem(slot)
}

/** What went wrong, in the API's own words. */
export class ApiError extends Error {
	override name = 'ApiError' as const
	readonly status: number

	constructor({ status, detail }: Pick<Problem, 'status' | 'detail'>) {
		super(detail)
		this.status = status
	}
}

/** A call with the key of this session; the answer's JSON. Throws ApiError. */
export async function api<T>(path: string, init: RequestInit = {}): Promise<T> {
	const answer = await request(path, init)
	return (answer.status === 204 ? undefined : await answer.json()) as T
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
	const headers = new Headers(init.headers)
	headers.set('authorization', `Bearer ${key.get() ?? ''}`)
	if (typeof init.body === 'string') {
		headers.set('content-type', 'application/json')
	}
	const answer = await fetch(path, { ...init, headers })
	if (!answer.ok) {
		throw new ApiError(await problemOf(answer))
	}
	return answer
}

async function problemOf(answer: Response): Promise<Pick<Problem, 'status' | 'detail'>> {
	const { status } = answer
	const problem = (await answer.json().catch(() => undefined)) as Problem | undefined
	return { status, detail: problem?.detail ?? `The server answered ${status}.` }
}
