/**
 * What a close means for the next attempt, as tables. Pure.
 *
 * A server that speaks no protocol of ours can mean anything by its codes, so the raw table ends nothing at once: 1000 is how
 * many proxies say "restart", and 4xxx is the application's business (it has `shouldReconnect`).
 */

/**
 * `retry`: try again. `suspect`: try again, but three in a row are final.
 * The others are final at once and become the cause of `closed`.
 */
export type Verdict = 'retry' | 'suspect' | 'refused' | 'unauthorized' | 'superseded';

/** A verdict, and when the server wants to see the client again. */
export interface Ruling {
  readonly verdict: Verdict;
  /** Not before `ms` milliseconds have passed; or, to `spread` a crowd, at any time within them. */
  readonly retryAfter?: { readonly ms: number; readonly spread: boolean } | undefined;
}

/** However long a server asks to be left alone, it is asked again then; milliseconds. */
export const LONGEST_RETRY_AFTER = 600_000;

/** Suspect closes in a row that end the connection. */
export const SUSPECT_LIMIT = 3;

/** Codes that repeat as long as the same peers send the same thing (RFC 6455 section 7.4.1). */
const SUSPECT_CODES: readonly number[] = [1002, 1003, 1007, 1009, 1010, 1015];

/** The verdict on a close by a server about which nothing is known. */
export function rawVerdict(code: number): Verdict {
  return SUSPECT_CODES.includes(code) ? 'suspect' : 'retry';
}
