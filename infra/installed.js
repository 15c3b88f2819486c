/** Before the two commands that README begins with. JavaScript, since without the Node.js that npm installs an older one can read nothing else here. */
import { existsSync } from 'node:fs'

if (!existsSync(new URL('../node_modules/node/bin/node', import.meta.url))) {
	console.error(
		'darkroom: expected node_modules/node/bin/node, which npm installs, got none: run `npm ci`, with --ignore-scripts=false or --include=dev where npm is set to leave such things out (by ignore-scripts or NODE_ENV=production)'
	)
	process.exit(1)
}
