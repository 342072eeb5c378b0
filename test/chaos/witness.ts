/** What both sides tell about themselves while they talk: the oracle hears it, at once or later. */

import type { Oracle } from '../simulation/oracle.ts';

/** What the client's side tells. */
export type ClientWitness = Pick<
  Oracle,
  | 'opened'
  | 'closed'
  | 'sent'
  | 'dropped'
  | 'acknowledged'
  | 'unknown'
  | 'clientHandled'
  | 'called'
  | 'executed'
  | 'settled'
  | 'subscribed'
  | 'gap'
  | 'heard'
  | 'surprised'
>;

/** What the server's side tells. */
export type ServerWitness = Pick<Oracle, 'handled' | 'serverSent' | 'called' | 'executed' | 'settled' | 'published' | 'surprised'>;
