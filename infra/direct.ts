/** Leaves out the proxies that the environment names (NODE_USE_ENV_PROXY, HTTP_PROXY) for addresses of this machine, here and in what is started from here: they would look for them on their own. */
export function askThisMachineDirectly(): void {
	const { no_proxy, NO_PROXY } = process.env
	const hosts = [no_proxy || NO_PROXY, 'localhost', '127.0.0.1', '[::1]'].filter(Boolean).join(',')
	// Each is read before the other by somebody.
	Object.assign(process.env, { no_proxy: hosts, NO_PROXY: hosts })
}
