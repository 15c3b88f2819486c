import { ProblemError } from '../../errors.ts'

const units = { s: 1, m: 60, h: 3_600 }

/** Seconds of a `Cancel-After` header: `90s`, `5m`, `1h30m45s`, or a number of seconds. */
export function secondsOf(duration: string | undefined): number | undefined {
	if (duration === undefined) {
		return undefined
	}
	if (!/^(\d{1,6}|(\d{1,6}[smh])+)$/.test(duration)) {
		throw new ProblemError({
			code: 'invalid-request',
			detail: `Cancel-After: expected a duration such as 90s, 5m or 1h30m, got ${JSON.stringify(duration.slice(0, 60))}.`
		})
	}
	return [...duration.matchAll(/(\d+)([smh]?)/g)].reduce(
		(sum, [, count, unit]) => sum + Number(count) * units[(unit || 's') as keyof typeof units],
		0
	)
}
