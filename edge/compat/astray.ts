/** What vendors' clients call when their base URL lacks our path, or a part of it; and the one that they need. */
const calls: [RegExp, string][] = [
	[/^(\/v1)?\/images\/(generations|edits|variations)$/, "; OpenAI's clients take /openai/v1 here as their base URL"],
	[
		/^(\/v1|\/replicate)?(\/(models|deployments)\/[^/]+\/[^/]+)?\/predictions\b/,
		"; Replicate's clients take /replicate/v1 here as their base URL, and in Python /replicate"
	]
]

/** Where a client that has lost its way belongs, or nothing. */
export const hintFor = (path: string): string => calls.find(([call]) => call.test(path))?.[1] ?? ''
