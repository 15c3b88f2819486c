/** What infra/site.ts makes: the pages of edge/site and their parts, by path. */
declare module '*/dist/site.json' {
	const files: Record<string, { type: string; body: string }>
	export default files
}
