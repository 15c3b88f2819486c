import { z } from 'zod'

/** An object whose fields are all the native API's to judge. Of zod's records and loose objects one that is called `__proto__` is left out. */
export const Fields = z.custom<Readonly<Record<string, unknown>>>().check(({ value, issues }) => {
	if (!z.core.util.isPlainObject(value)) {
		issues.push({ code: 'invalid_type', expected: 'object', input: value })
	}
})
