import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { preparePostgres } from './postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('makes a cluster in a folder of any name', async () => {
	const { args } = await preparePostgres(join(folder, `it's "50 %" \\of\\ $HOME; ünï`), 1)
	expect(args).toEqual(expect.arrayContaining(['-p', '1']))
})

it('makes a cluster anew whose password is lost, and keeps one that is whole', async () => {
	const dataDir = join(folder, 'queue')
	const { url } = await preparePostgres(dataDir, 1)
	const made = join(dataDir, 'PG_VERSION')
	const since = statSync(made).mtimeMs
	expect(await preparePostgres(dataDir, 1)).toMatchObject({ url })
	expect(statSync(made).mtimeMs).toBe(since)
	rmSync(`${dataDir}.password`)
	const { url: other } = await preparePostgres(dataDir, 1)
	expect(other).toMatch(/^postgres:\/\/darkroom:[0-9a-f]{48}@127\.0\.0\.1:1\/postgres\?sslmode=disable$/)
	expect(other).not.toBe(url)
	expect(statSync(made).mtimeMs).toBeGreaterThan(since)
})

it('makes a cluster anew that was killed while it was made', async () => {
	const dataDir = join(folder, 'half made')
	const script = `
		import { preparePostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))}
		await preparePostgres(process.argv[1], 1)
	`
	const maker = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], { detached: true, stdio: 'ignore' })
	const ended = once(maker, 'exit')
	// From then on it looks whole, and has nearly everything still to come.
	const places = [dataDir, `${dataDir}.new`]
	const isControlled = (place: string) => statSync(join(place, 'global/pg_control'), { throwIfNoEntry: false })?.size
	await expect.poll(() => places.some(isControlled), { interval: 1, timeout: 30_000 }).toBe(true)
	process.kill(-maker.pid!, 'SIGKILL')
	await ended
	for (const place of places) {
		rmSync(join(place, 'postmaster.pid'), { force: true }) // It counts until the process is forgotten, which takes a moment.
	}
	await preparePostgres(dataDir, 1)
	expect(existsSync(join(dataDir, 'global/pg_filenode.map'))).toBe(true)
})

it('says which character of a name PostgreSQL does not take, before anything is removed', async () => {
	await expect(preparePostgres(join(folder, 'two\nlines'), 1)).rejects.toThrow(
		/where a folder has "\\n" in its name \("[^\n]+two\\nlines"\): rename it, or set QUEUE_URL/
	)
})

describe.skipIf(spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'true']).status !== 0)(
	'in a namespace of its own',
	() => {
		const names = join(folder, 'passwd')
		writeFileSync(names, 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n')
		const script = `
		import { preparePostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))}
		const { args } = await preparePostgres(process.argv[1], 1)
		console.log(process.getuid(), args.includes('--user'))
	`
		const prepare = (...wrap: string[]) => {
			const dataDir = join(mkdtempSync(join(folder, 'few-')), 'queue')
			const others = ['mount --bind "$0" /etc/passwd && exec "$@"', names, ...wrap]
			const node = [process.execPath, '--input-type=module', '-e', script, dataDir]
			const { stdout, stderr } = spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', ...others, ...node], {
				encoding: 'utf8'
			})
			return `${stdout}${stderr}`
		}

		it('makes a cluster as root, and as one who has a number and no name', () => {
			expect(prepare('env')).toBe('0 true\n')
			expect(prepare('unshare', '--user', '--map-user=12345', '--map-group=12345', '--')).toBe('12345 true\n')
		})

		it('says why PostgreSQL cannot be prepared', () => {
			const little = ['sh', '-c', 'mount -t tmpfs -o size=4k none /dev/shm && exec "$@"', 'sh']
			expect(prepare(...little)).toMatch(/Error: PostgreSQL cannot be prepared: .*could not resize shared memory segment/)
		})
	}
)
