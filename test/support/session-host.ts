/** A server with sessions, and clients by hand that come, go, and come back. */

import type { HostOptions } from '../../src/server/options.ts';
import { HELLO, hosting } from './hosting.ts';
import type { Frame } from './link.ts';

/** A hello of a client that wants a session. */
export const SESSION_HELLO = { ...HELLO, features: ['calls', 'channels', 'binary', 'resume'] };

/** A client by hand: its connection, and what it was told when it came. */
export type Visitor = Awaited<ReturnType<ReturnType<typeof sessionHost>['comes']>>;

/** A host whose clients have sessions. */
export function sessionHost(options: HostOptions = {}) {
  const h = hosting(options);
  /** Connects and says hello; what comes back is the welcome, and what came with it. */
  const comes = async (hello: object = {}, address?: string) => {
    const peer = h.connect(address);
    await peer.says({ ...SESSION_HELLO, ...hello });
    const [welcome = { type: 'nothing' }, ...rest] = peer.news();
    return { ...peer, welcome, rest };
  };
  /** Comes, and says a word, so that its session outlives its connection. */
  const stays = async (hello: object = {}, address?: string) => {
    const visitor = await comes(hello, address);
    await visitor.says({ type: 'ack', received: 0 });
    return visitor;
  };
  return { ...h, comes, stays };
}

/** The part of a hello that asks for the session of a welcome. */
export function asking({ session, key }: Frame, generation = 1, received = 0, more: object = {}) {
  return { resume: { session, key, generation, received, ...more } };
}

/** What a welcome says about the session that was asked for. */
export function fate({ type, resumed, error }: Frame): string {
  if (type !== 'welcome') return type;
  return resumed === true ? 'resumed' : ((error as { code: string } | undefined)?.code ?? 'new');
}

/** Numbered events of a client. */
export const events = (...seqs: number[]) => seqs.map((seq) => ({ type: 'event', name: 'note', data: seq, seq }));
