/** What the tests of presence share: clients by hand that are there and watch, and what they are told, in words. */

import type { HostOptions } from '../../src/server/options.ts';
import { FakeClock } from './fake-clock.ts';
import type { Frame } from './link.ts';
import { SESSION_HELLO, sessionHost } from './session-host.ts';
import { MembersBroker, type SlowMembersOptions } from './slow-members.ts';

/** A hello of a client that wants to know who is there. */
export const PRESENCE_HELLO = { ...SESSION_HELLO, features: [...SESSION_HELLO.features, 'presence'] };

export const subscribe = (id: number, channel = 'a') => ({ type: 'subscribe', id, channel });
export const unsubscribe = (id: number, channel = 'a') => ({ type: 'unsubscribe', id, channel });
/** Wants to know who is there. */
export const watch = (id: number, more: object = {}) => ({ type: 'presence', id, channel: 'a', watch: true, here: false, ...more });
/** The same, and is there itself. */
export const show = (id: number, data: unknown, more: object = {}) => watch(id, { here: true, data, ...more });
/** Is there, and does not want to know who else. */
export const appear = (id: number, data: unknown, more: object = {}) => show(id, data, { watch: false, ...more });
/** Neither any more. */
export const leave = (id: number, more: object = {}) => watch(id, { watch: false, ...more });

type Read = (frames: readonly Frame[]) => string[];

/**
 * Makes a reader of what one client is told. Members are named by what they show, those that are gone by what they showed last:
 * "snapshot ann bob", "set ann", "gone bob", "response 2", "error 3 CANCELLED".
 */
export function reader(): Read {
  const shown = new Map<string, unknown>();
  const ofPresence = ({ set, gone, snapshot, more }: Frame) => {
    const entries = (set ?? []) as { readonly id: string; readonly data: unknown }[];
    for (const { id, data } of entries) shown.set(id, data);
    const all = entries.map(({ data }) => (typeof data === 'string' ? data : JSON.stringify(data)));
    const parts = [...(snapshot ? [['snapshot', ...all]] : all.length > 0 ? [['set', ...all]] : [])];
    if (Array.isArray(gone)) parts.push(['gone', ...gone.map((id) => String(shown.get(id) ?? id))]);
    if (more) parts.push(['more']);
    return parts.flat().join(' ');
  };
  return (frames) =>
    frames.map((frame) => {
      const { type, id, error, channel } = frame;
      if (type === 'presence') return ofPresence(frame);
      const { code } = Object(error) as { code?: string };
      return [type, id ?? channel, code].filter((word) => word !== undefined).join(' ');
    });
}

/** A host whose clients want to know who is there. */
export function presenceHost(options: HostOptions = {}) {
  const h = sessionHost({ heartbeat: { interval: 1_000_000_000 }, ...options }); // nobody here answers pings
  /** Comes with a session, or with the one before; `told` is what it was told since it was asked last. */
  const comes = async (hello: object = {}, address?: string) => {
    const visitor = await h.comes({ ...PRESENCE_HELLO, ...hello }, address);
    const read = reader();
    /** Says one thing after the other, each when the one before has been answered as far as it can be. */
    const inTurn = async (...frames: object[]) => {
      for (const frame of frames) await visitor.says(frame);
    };
    return { ...visitor, told: () => read(visitor.news()), inTurn };
  };
  /** Comes, and says so much on the channel `a`, with the ids from 1. */
  const joins = async (...frames: object[]) => {
    const visitor = await comes();
    await visitor.inTurn(subscribe(1), ...frames);
    return visitor;
  };
  return { ...h, comes, joins };
}

/** The same over a store that takes its time. */
export function slowPresence(told: Omit<SlowMembersOptions, 'clock'> = {}, options: HostOptions = {}) {
  const clock = new FakeClock();
  const broker = new MembersBroker({ clock, ...told });
  return { ...presenceHost({ clock, broker, ...options }), clock, broker, members: broker.members };
}

/** The answers among frames, in full. */
export const answers = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'response' || type === 'error');
/** The member that the last answer names. */
export const named = (frames: readonly Frame[]) => (answers(frames).at(-1)?.['result'] as { readonly member?: string } | undefined)?.member;

/** Somebody who watches, and a host whose time goes on until what is told together has been told. */
export async function watched(options: HostOptions = {}) {
  const h = presenceHost(options);
  const watcher = await h.joins(watch(2));
  watcher.news();
  const told = async () => {
    await h.clock.advance(50);
    return watcher.told();
  };
  return { ...h, watcher, told };
}
