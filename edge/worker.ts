import { OpenAPIHono } from '@hono/zod-openapi'
import { newId } from '../shared/ids.ts'
import type { App } from './app.ts'
import { readRest } from './body.ts'
import { checkpoint } from './callbacks/checkpoint.ts'
import { finish } from './callbacks/finish.ts'
import { image } from './callbacks/image.ts'
import { progress } from './callbacks/progress.ts'
import { start } from './callbacks/start.ts'
import { upload } from './callbacks/upload.ts'
import { handBack } from './callbacks/yield.ts'
import { respondNothing } from './compat/astray.ts'
import { fal } from './compat/fal/fal.ts'
import { openai } from './compat/openai/openai.ts'
import { replicate } from './compat/replicate/replicate.ts'
import { parseEnv } from './env.ts'
import { onError, respond } from './errors.ts'
import { withoutFlood } from './flood.ts'
import { impossible, invalid } from './issues.ts'
import { fromPages } from './pages.ts'
import { queryOf } from './query.ts'
import { EdgeRouter } from './router.ts'
import { auditAccount } from './routes/audit-account.ts'
import { cancelGeneration } from './routes/cancel-generation.ts'
import { createGeneration } from './routes/create-generation.ts'
import { createKey } from './routes/create-key.ts'
import { createUpload } from './routes/create-upload.ts'
import { creditAccount } from './routes/credit-account.ts'
import { deleteGeneration } from './routes/delete-generation.ts'
import { generationEvents } from './routes/generation-events.ts'
import { getAccount } from './routes/get-account.ts'
import { getGeneration } from './routes/get-generation.ts'
import { getImage } from './routes/get-image.ts'
import { getUsage } from './routes/get-usage.ts'
import { health } from './routes/health.ts'
import { listAccounts } from './routes/list-accounts.ts'
import { listArchives } from './routes/list-archives.ts'
import { listGenerations } from './routes/list-generations.ts'
import { listKeys } from './routes/list-keys.ts'
import { listLedger } from './routes/list-ledger.ts'
import { listModels } from './routes/list-models.ts'
import { meters } from './routes/meters.ts'
import { openapi } from './routes/openapi.ts'
import { outputs } from './routes/outputs.ts'
import { refundGeneration } from './routes/refund-generation.ts'
import { revokeKey } from './routes/revoke-key.ts'
import { rotateKey } from './routes/rotate-key.ts'
import { site } from './routes/site.ts'
import { updateAccount } from './routes/update-account.ts'
import { webhookDeliveries } from './routes/webhook-deliveries.ts'
import { webhookEndpoints } from './routes/webhook-endpoints.ts'
import { webhookSecret } from './routes/webhook-secret.ts'

export { Account } from './account/account.ts'
export { Courier } from './courier/courier.ts'
export { Dispatcher } from './dispatcher/dispatcher.ts'
export { Viewer } from './viewer/viewer.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']

const app = new OpenAPIHono<App>({
	router: new EdgeRouter(),
	defaultHook: async (result, c) => {
		if (result.success) {
			return
		}
		if (result.target === 'param') {
			throw impossible(result.error, c.req.path, c.req.param())
		}
		// Whoever sends nothing, and so no type, gets here too.
		const isJson = result.target === 'json' && (await c.req.text()) !== ''
		const given = isJson ? await c.req.json() : result.target === 'query' ? queryOf(c) : undefined
		throw invalid(result.error, given)
	}
})

app.onError(onError)
app.notFound((c) => {
	const { path, method } = c.req
	const allowed = methods
		.filter((other) => app.router.match(other, path)[0].some(([[, route]]) => route.method === other))
		.flatMap((other) => (other === 'GET' ? ['GET', 'HEAD'] : [other]))
	if (allowed.length === 0 || allowed.includes(method)) {
		return respondNothing(c)
	}
	const allow = allowed.join(', ')
	return respond(c, { code: 'method-not-allowed', detail: `Expected ${allow}, got ${method}.` }, { allow })
})
app.use(async function begin(c, next) {
	const named = c.req.header('x-request-id')
	const requestId = named && /^[\w=-]{1,64}$/.test(named) ? named : newId('req')
	c.set('requestId', requestId)
	c.set('env', parseEnv(c.env))
	await next()
	c.get('body')?.release()
	c.res.headers.set('x-request-id', requestId)
	await readRest(c)
})
for (const path of ['/openapi.json', '/v1/*', '/openai/*', '/replicate/*', '/fal/*', '/outputs/*']) {
	app.use(path, fromPages)
}
// Adapters turn floods away themselves, in their own words.
for (const path of ['/openapi.json', '/v1/*', '/outputs/*']) {
	app.use(path, withoutFlood)
}
for (const add of [
	health,
	listModels,
	createGeneration,
	listGenerations,
	getGeneration,
	generationEvents,
	cancelGeneration,
	deleteGeneration,
	getImage,
	getAccount,
	getUsage,
	listLedger,
	listArchives,
	webhookSecret,
	webhookDeliveries,
	webhookEndpoints,
	createKey,
	createUpload,
	listKeys,
	rotateKey,
	revokeKey,
	listAccounts,
	updateAccount,
	creditAccount,
	refundGeneration,
	meters,
	auditAccount,
	start,
	progress,
	upload,
	image,
	checkpoint,
	handBack,
	finish,
	openapi,
	site,
	outputs,
	openai,
	replicate,
	fal
]) {
	add(app)
}

export default app
