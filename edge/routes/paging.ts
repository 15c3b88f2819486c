import { z } from '@hono/zod-openapi'

/** The query's `limit`: how many items a page has, `usual` where it is absent. */
export const limitOf = (usual: number, most: number) =>
	z
		.string()
		.refine((text) => /^\d{1,4}$/.test(text) && +text >= 1 && +text <= most, `an integer from 1 to ${most}`)
		.transform(Number)
		.default(usual)
		.openapi({ type: 'integer', minimum: 1, maximum: most, default: usual })

/** In a list of what an account has. */
export const ArchivedUntil = z.iso
	.datetime()
	.optional()
	.describe(
		'Where there is an archive (`GET /v1/archives`): generations that were ordered until then are in it, and not in this list.'
	)

export const nextOfAll = '`next` is the `cursor` of the following page, null on the last'

/** Of a list that is looked through for what is asked for. */
export const nextOfSome = `${nextOfAll}. With filters, a page may hold fewer than \`limit\`, or none, and not be the last`
