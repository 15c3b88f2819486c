/** Whether `event` comes within so many milliseconds. */
export async function soon(event: Promise<unknown>, ms: number): Promise<boolean> {
	let timer: ReturnType<typeof setTimeout> | undefined
	const late = new Promise<boolean>((resolve) => {
		timer = setTimeout(resolve, ms, false)
	})
	try {
		return await Promise.race([event.then(() => true), late])
	} finally {
		clearTimeout(timer)
	}
}
