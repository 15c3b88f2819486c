import { type Call, call } from '../../shared/call.ts'

const slot = 'darkroom-key'

/** The API key, entered once and kept until the tab is closed. */
export const key = {
	get: (): string | undefined => sessionStorage.getItem(slot) ?? undefined,
	set: (text: string): void => sessionStorage.setItem(slot, text),
	forget: (): void => sessionStorage.removeItem(slot)
}

/** A call with the key of this session; the answer's JSON, or what `read` has of it. Throws as `call` does. */
export function api<T>(path: string, how?: Call, read?: (answer: Response) => Promise<T>): Promise<T> {
	return call({ url: '', apiKey: key.get() ?? '' }, path, how, read)
}

/** A file, for which the key is needed: it may take as long as it needs to come. Throws as `call` does. */
export async function fileOf(path: string): Promise<Blob> {
	return (await api(path, {}, async (answer) => answer)).blob()
}
