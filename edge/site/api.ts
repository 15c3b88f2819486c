import { DarkroomError } from '../../shared/client.ts'

const slot = 'darkroom-key'

/** The API key, entered once and kept until the tab is closed. */
export const key = {
	get: (): string | undefined => sessionStorage.getItem(slot) ?? undefined,
	set: (text: string): void => sessionStorage.setItem(slot, text),
	forget: (): void => sessionStorage.removeItem(slot)
}

/** A call with the key of this session; the answer's JSON. Throws DarkroomError. */
export async function api<T>(path: string, method = 'GET', body?: object): Promise<T> {
	return (await call(path, method, body)).json()
}

/** A call that is answered with nothing. Throws DarkroomError. */
export async function ask(path: string, method: string): Promise<void> {
	await call(path, method)
}

/** A file, for which the key is needed. Throws DarkroomError. */
export async function fileOf(path: string): Promise<Blob> {
	return (await call(path)).blob()
}

async function call(path: string, method = 'GET', body?: object): Promise<Response> {
	const headers = { authorization: `Bearer ${key.get() ?? ''}`, ...(body && { 'content-type': 'application/json' }) }
	const answer = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
	if (!answer.ok) {
		throw await DarkroomError.of(answer)
	}
	return answer
}
