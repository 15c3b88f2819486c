/** What can happen to a generation once it was accepted. Times are milliseconds. */
export type Happening = { id: string; at: number } & (
	| { type: 'started' }
	/** Delivered, and charged at `price` (micro-units). */
	| { type: 'image'; n: number; model: string; price: number }
	/** `queued`: as what it was in the queue until then. */
	| { type: 'completed' | 'failed' | 'canceled' | 'expired'; queued: { model: string; epoch: number } | undefined }
)

/** Told inside the transaction that makes it so: what an observer writes is kept, or lost, together with it. */
export type Observer = (happening: Happening) => void
