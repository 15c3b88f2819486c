import { DarkroomError } from '../../shared/client.ts'

const slot = 'darkroom-key'

/** The API key, entered once and kept until the tab is closed. */
export const key = {
	get: (): string | undefined => sessionStorage.getItem(slot) ?? undefined,
	set: (text: string): void => sessionStorage.setItem(slot, text),
	forget: (): void => sessionStorage.removeItem(slot)
}

/** A call with the key of this session; the answer's JSON. Throws DarkroomError. */
export async function api<T>(path: string, method = 'GET'): Promise<T> {
	return (await call(path, method)).json()
}

/** A file, for which the key is needed. Throws DarkroomError. */
export async function fileOf(path: string): Promise<Blob> {
	return (await call(path)).blob()
}

async function call(path: string, method = 'GET'): Promise<Response> {
	const answer = await fetch(path, { method, headers: { authorization: `Bearer ${key.get() ?? ''}` } })
	if (!answer.ok) {
		throw await DarkroomError.of(answer)
	}
	return answer
}
