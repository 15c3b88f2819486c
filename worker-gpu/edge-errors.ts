/** The work is not ours (any more): drop it without a word. */
export class WorkEnded extends Error {
	override name = 'WorkEnded'
}

/** An answer that a repetition would not change. */
export class EdgeRefused extends Error {
	override name = 'EdgeRefused'
	/** Of HTTP. */
	readonly status: number
	/** The last part of the problem's type (`not-seen`, `unauthorized`), or the code of S3 (`NoSuchKey`). */
	readonly code: string

	constructor(call: string, status: number, code: string, detail: string) {
		super(`${call}: expected success, got ${status} ${code} (${detail})`)
		this.status = status
		this.code = code
	}
}

/** Storage does not take a URL's signature: it has expired, or the key that it was signed with is not good any more, or not yet. Another may do. */
export class SignatureRefused extends EdgeRefused {
	override name = 'SignatureRefused'
}

/** The work is ours, but its request is none that this version knows, or its catalog: the edge's may be newer. */
export class RequestUnknown extends Error {
	override name = 'RequestUnknown'
}

/** The edge, or storage, gave no answer for as long as a lease lasts, or none that helps. Where it was the edge, someone else will be granted the work. */
export class EdgeUnreachable extends Error {
	override name = 'EdgeUnreachable'
	/** Of whom was called. */
	readonly origin: string

	constructor(origin: string, message: string) {
		super(message)
		this.origin = origin
	}
}

/** Storage gave no answer at all, and the edge may: other nodes may reach both. */
export class StorageSilent extends EdgeUnreachable {
	override name = 'StorageSilent'
}
