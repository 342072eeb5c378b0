/** A client of ours on a channel where others are there too: they come and go on another server, by the store that both share. */

import type { ClientOptions } from '../../src/client-options.ts';
import type { Presence } from '../../src/presence.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock } from './fake-clock.ts';
import { type Frame, type LinkSocket, pair } from './link.ts';
import { MembersBroker, type SlowMembersOptions } from './slow-members.ts';

const name = (data: unknown) => (typeof data === 'string' ? data : JSON.stringify(data));

/** What a client says of itself, in words: "watch", "show ida", "nothing". */
export function said(frames: readonly Frame[]): string[] {
  return frames
    .filter(({ type }) => type === 'presence')
    .map(({ watch, here, data }) => (here ? `${watch ? 'show' : 'appear'} ${name(data)}` : watch ? 'watch' : 'nothing'));
}

/** What the members show, in order. */
export const shown = ({ members }: Presence) => [...members.values()].map(({ data }) => name(data));

/** Everything that is heard, in words: "join ann", "update ann to anna", "leave anna", "change: ida". */
export function heard(people: Presence): string[] {
  const log: string[] = [];
  people.addEventListener('join', ({ member }) => log.push(`join ${name(member.data)}`));
  people.addEventListener('update', ({ member, previous }) => log.push(`update ${name(previous?.data)} to ${name(member.data)}`));
  people.addEventListener('leave', ({ member }) => log.push(`leave ${name(member.data)}`));
  people.addEventListener('change', () => log.push(['change:', ...shown(people)].join(' ')));
  return log;
}

/** What has become of a promise by now: "pending", "resolved", the code of the error, or what it was rejected with. */
export function fate(promise: Promise<unknown>): { readonly now: unknown } {
  const fate: { now: unknown } = { now: 'pending' };
  const failed = (error: unknown) => {
    fate.now = (error as { code?: string } | undefined)?.code ?? error;
  };
  promise.then(() => {
    fate.now = 'resolved';
  }, failed);
  return fate;
}

/** A client that connects as soon as promises settle, its server, and the store behind it. */
export function crowded(options: ClientOptions = {}, server: HostOptions = {}, slow: Omit<SlowMembersOptions, 'clock'> = {}) {
  const clock = new FakeClock();
  const broker = new MembersBroker({ clock, ...slow });
  const p = Object.assign(pair({ clock, ...options }, { clock, broker, ...server }), { clock });
  return {
    p,
    clock,
    client: p.client,
    broker,
    members: broker.members,
    channel: p.client.channel('a'),
    /** What the client said of itself on the newest connection. */
    said: (socket: LinkSocket = p.socket) => said(p.frames(socket)),
    /** The types of all that it said on it. */
    types: () => p.frames().map(({ type }) => type),
    /** Until all that is told together has been told. */
    settle: async () => {
      await p.settle();
      await clock.advance(50);
      await p.settle();
    },
  };
}
