import type { Generation } from '../../../shared/contract/generation.ts'

const shell = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** Python's literals are JSON's but for true, false and null: of the first two a request has none, and null is as good as absent. */
const python = (request: object) => JSON.stringify(request, (_, value) => value ?? undefined, 4)

export const curl = (request: object, origin: string): string =>
	`curl ${origin}/v1/generations -H 'Prefer: wait=60' \\
  -H "Authorization: Bearer $DARKROOM_API_KEY" -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify(request))}`

/** A generation's whole request, in the words of several clients. The key stays out of it. */
export const recipes: Record<string, (request: Generation['request'], origin: string) => string> = {
	curl,
	Python: (request, origin) =>
		`import os, requests

key = os.environ["DARKROOM_API_KEY"]
headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=60"}
generation = requests.post("${origin}/v1/generations", headers=headers, json=${python(request)}).json()`,
	OpenAI: ({ model, prompt, width, height, count, ...others }, origin) =>
		`import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${origin}/openai/v1', apiKey: process.env.DARKROOM_API_KEY })
const { data } = await client.images.generate(${JSON.stringify(
			{ model, prompt, size: `${width}x${height}`, n: count, ...others },
			null,
			2
		)})`,
	Replicate: ({ model, ...input }, origin) =>
		`import Replicate from 'replicate'

const client = new Replicate({ baseUrl: '${origin}/replicate/v1', auth: process.env.DARKROOM_API_KEY })
const output = await client.run('darkroom/${model}', { input: ${JSON.stringify(input, null, 2)} })`,
	fal: ({ model, ...input }, origin) =>
		`import { createFalClient } from '@fal-ai/client'

const proxyUrl = { url: '${origin}/fal/proxy', when: 'always' }
const fal = createFalClient({ proxyUrl, credentials: process.env.DARKROOM_API_KEY })
const { data } = await fal.subscribe('darkroom/${model}', { input: ${JSON.stringify(input, null, 2)} })`
}
