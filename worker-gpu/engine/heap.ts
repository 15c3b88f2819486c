/** How a process that runs ONNX Runtime holds memory: what Node.js is told, and glibc, whose names other C libraries do not know. */

export const nodeOptions = [
	'--max-semi-space-size=4',
	// The numbers of calls count as part of the heap. Beside the 10 MB of its objects they had all of it collected five times a second, 13 ms each, in which no call was
	// given out; with room for so many megabytes that happens once in a few seconds.
	'--initial-old-space-size=256'
]

export const mallocSettings = {
	// glibc gives threads heaps of their own, in which what others could use lies idle: after 2,000 pictures of mixed shapes 266 MB were
	// resident and still growing; with one heap for all of them 220 MB, as at the start.
	MALLOC_ARENA_MAX: '1',
	// A call's numbers are gone after a tick or two. Memory that is given back and asked for again comes page by page: 570 faults a tick with 64 rows of
	// 3 × 64 × 64, 20 where as much as this is kept. In a virtual machine each is dear.
	MALLOC_TRIM_THRESHOLD_: String(128 * 2 ** 20),
	// The most that it takes, which it comes to by itself where nobody says anything of either.
	MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20)
}
