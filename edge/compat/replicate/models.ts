import { findModel, type Model, models } from '../../../shared/catalog.ts'
import { ProblemError } from '../../errors.ts'
import { sha256 } from '../../hmac.ts'
import { inputSchema } from './schema.ts'

export const owner = 'darkroom'

/** 64 hexadecimal digits, as theirs; another entry in the catalog is another version. */
export const versionOf = (model: Model): string => sha256(JSON.stringify(model))

const versions = new Map(models.map((model) => [versionOf(model), model]))

/** `owner/name`, `owner/name:version` or a version alone. Whose the model was elsewhere does not matter: its name counts. */
export function modelNamed(reference: string): string {
	const [, named, version] = /^(?:[^/:]+\/([^/:]+))?:?([0-9a-f]{64})?$/.exec(reference) ?? []
	return named ?? (version && versions.get(version)?.id) ?? reference
}

export function findNamed(name: string): Model {
	const model = findModel(name)
	if (!model) {
		throw new ProblemError({ code: 'not-found', detail: `There is no model ${name}.` })
	}
	return model
}

export function modelsAbout(words: string): Model[] {
	const told = words.toLowerCase()
	return models.filter(({ id, name, description }) => `${id} ${name} ${description}`.toLowerCase().includes(told))
}

export const modelBody = (origin: string, model: Model) => ({
	url: origin,
	owner,
	name: model.id,
	description: model.description,
	visibility: 'public',
	is_official: false,
	run_count: 0,
	github_url: null,
	paper_url: null,
	license_url: null,
	cover_image_url: null,
	default_example: null,
	latest_version: versionBody(model)
})

/** The catalog does not say. */
const madeAt = '2026-01-01T00:00:00.000000Z'

export const versionBody = (model: Model) => ({
	id: versionOf(model),
	created_at: madeAt,
	// The first from which replicate-python takes an array of outputs for an array, and not for a stream.
	cog_version: '0.3.9',
	openapi_schema: {
		openapi: '3.1.0',
		info: { title: model.name, version: versionOf(model) },
		paths: {},
		components: {
			schemas: {
				Input: inputSchema(model),
				Output: { type: 'array', title: 'Output', items: { type: 'string', format: 'uri' } }
			}
		}
	}
})

/** The kind of machine that all run on. */
export const hardware = 'gpu'

const instances = { min_instances: 1, max_instances: 1 }

export const deploymentBody = (model: Model) => ({
	owner,
	name: model.id,
	current_release: {
		number: 1,
		model: `${owner}/${model.id}`,
		version: versionOf(model),
		created_at: madeAt,
		created_by: { type: 'organization', username: owner, name: owner },
		// Their client for Swift looks for `scaling`, all others beside it.
		configuration: { hardware, ...instances, scaling: instances }
	}
})
