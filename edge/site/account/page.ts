import './page.css'
import { signIn } from '../sign-in.ts'

signIn(async () => {})
