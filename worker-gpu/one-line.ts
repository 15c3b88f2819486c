/** Of what others say (a proxy, ONNX Runtime) some has several. */
export const oneLine = (text: string): string => text.replace(/\s*[\r\n]\s*/g, ' ')
