/** What draws a picture `rows` of the terminal high where the cursor is; undefined for a kind of picture that it cannot show. */
type InlineImage = (picture: Buffer, type: string, rows: number) => string | undefined

/** How this terminal shows pictures, as far as its environment says; undefined where it does not. */
export function inlineImages(env: NodeJS.ProcessEnv): InlineImage | undefined {
	const { TERM = '', TERM_PROGRAM = '', LC_TERMINAL, KITTY_WINDOW_ID, TMUX } = env
	// What lies between takes the terminal's name, and not its pictures.
	if (TMUX || /^(screen|tmux)/.test(TERM)) {
		return undefined
	}
	if (TERM_PROGRAM === 'iTerm.app' || TERM_PROGRAM === 'WezTerm' || LC_TERMINAL === 'iTerm2') {
		return iterm
	}
	return KITTY_WINDOW_ID || TERM === 'xterm-kitty' || TERM === 'xterm-ghostty' || TERM_PROGRAM === 'ghostty' ? kitty : undefined
}

/** https://iterm2.com/documentation-images.html */
const iterm: InlineImage = (picture, _, rows) =>
	`\x1b]1337;File=inline=1;size=${picture.length};height=${rows}:${picture.toString('base64')}\x07`

/** https://sw.kovidgoyal.net/kitty/graphics-protocol: PNG (f=100), in pieces of at most 4,096 characters; the terminal is not to answer (q=2). */
const kitty: InlineImage = (picture, type, rows) => {
	if (type !== 'image/png') {
		return undefined
	}
	const pieces = picture.toString('base64').match(/.{1,4096}/g) ?? []
	return pieces
		.map((piece, i) => {
			const first = i === 0 ? `a=T,f=100,r=${rows},q=2,` : ''
			return `\x1b_G${first}m=${i < pieces.length - 1 ? 1 : 0};${piece}\x1b\\`
		})
		.join('')
}
