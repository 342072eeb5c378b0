/** What a server and its broker do where they are not told otherwise. */

/** 128 random bits, in hexadecimal. */
export function createId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Tells of an error that nobody else is told of. */
export function log(error: unknown, where: string): void {
  console.error(`Holdfast: ${where} failed:`, error);
}
