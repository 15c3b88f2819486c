/** Seconds, as people are told how long something takes: rounded up. */
export function inShort(seconds: number): string {
	return seconds <= 120
		? `${Math.ceil(seconds)} s`
		: seconds <= 7_200
			? `${Math.ceil(seconds / 60)} min`
			: seconds <= 172_800
				? `${Math.ceil(seconds / 3_600)} h`
				: `${Math.ceil(seconds / 86_400)} days`
}
