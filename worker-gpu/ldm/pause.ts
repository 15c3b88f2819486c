/** Waits for its next turn: whoever works for long asks for it in between, so that others need not wait for the whole. */
export type Pause = () => Promise<void>
