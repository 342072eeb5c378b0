/** A text without what stands in the query of a URL, or before its host: credentials must not get into logs. */
export function redacted(text: string): string {
  return text.replace(/([?&][^=\s&'"]*=)[^&\s'"]*/g, '$1…').replace(/(\/\/)[^/@\s'"]*@/g, '$1…@');
}
