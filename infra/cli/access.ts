import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { askThisMachineDirectly } from '../direct.ts'
import { CliError } from './cli-error.ts'

/** What the file of the last `npm start` calls that which a variable of the environment holds. */
const names = { DARKROOM_API_KEY: 'apiKey', ADMIN_TOKEN: 'adminToken' } as const

/** Which Darkroom is asked, and by what right: those that the environment names, or else those of the last `npm start`. */
export function accessBy(variable: keyof typeof names): { url: string; token: string } {
	askThisMachineDirectly()
	const { DARKROOM_URL: url, [variable]: token, DATA_DIR } = process.env
	if (url && token) {
		if (!/^https?:/.test(url) || !URL.canParse(url)) {
			throw new CliError(`DARKROOM_URL: expected an address such as https://darkroom.example, got ${url}`)
		}
		// No header can bear it.
		if (/[^\s!-~]/.test(token)) {
			throw new CliError(`${variable}: expected plain letters, digits and signs, got others too`)
		}
		return { url: url.replace(/\/+$/, ''), token }
	}
	const file = join(DATA_DIR || '.data', 'dev.json')
	// With one of them somebody means another Darkroom than that of the last start.
	if (url || token || !existsSync(file)) {
		throw new CliError(
			`expected both DARKROOM_URL and ${variable} in the environment, or neither and a ${file} from \`npm start\``
		)
	}
	try {
		const kept = JSON.parse(readFileSync(file, 'utf8'))
		return { url: kept.url, token: kept[names[variable]] }
	} catch (error) {
		throw new CliError(`${file}: expected what \`npm start\` writes there, got ${(error as Error).message}`)
	}
}
