/** Whether `event` comes within so many milliseconds. */
export async function soon(event: Promise<unknown>, ms: number): Promise<boolean> {
	const { promise, resolve, reject } = Promise.withResolvers<boolean>()
	const timer = setTimeout(resolve, ms, false)
	event.then(() => resolve(true), reject)
	try {
		return await promise
	} finally {
		clearTimeout(timer)
	}
}
