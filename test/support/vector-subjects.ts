/** Those who are under test by the vectors: the server and the client of this library, set up as docs/protocol-vectors.md asks. */

import type { Subject } from './replay.ts';
import { clientSubject } from './vector-client.ts';
import { serverSubject } from './vector-server.ts';
import type { Side } from './vectors.ts';

export { heardIn } from './vector-inbox.ts';

/** One of them, fresh. */
export function subject(side: Side): Subject {
  return side === 'server' ? serverSubject() : clientSubject();
}
