/** What the tests of the client share: pairs set up for a purpose, and what went over the wire in words. */

import { expect } from 'vitest';
import type { Channel } from '../../src/channel.ts';
import type { ClientOptions } from '../../src/client-options.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { type Frame, type Pair, pair } from '../support/link.ts';
import { saidBy } from '../support/numbers.ts';

export const allowed = (names: string[]) => ({ authorize: ({ channel }: { channel: string }) => names.includes(channel) });

/** Frames about channels that the client sent on the newest socket, in words: "subscribe a". */
export const asked = (p: Pair) =>
  p
    .frames()
    .filter(({ type }) => /subscribe|publish/.test(type))
    .map(({ type, channel }) => `${type} ${channel}`);

/** What the client declared in its newest hello. */
export const declared = (p: Pair) => p.frames()[0]?.['subscriptions'];

/** Everything that happens on a channel, in words. */
export function watch(channel: Channel): string[] {
  const log: string[] = [];
  channel.addEventListener('message', ({ data }) => void log.push(`message ${data}`));
  channel.addEventListener('statechange', ({ state }) => void log.push(state.status));
  channel.addEventListener('gap', ({ reason }) => void log.push(`gap ${reason}`));
  return log;
}

export async function lose(p: Pair): Promise<void> {
  p.socket.cut();
  await p.clock.advance(1_000);
  await p.settle();
}

/** A server whose decisions on subscriptions are made by the test, one by one. */
export function deciding(server: HostOptions = {}, options: ClientOptions = {}) {
  const decisions: ((allow: boolean) => void)[] = [];
  const p = pair(options, { ...server, authorize: () => new Promise((resolve) => decisions.push(resolve)) });
  return { p, decisions };
}

export const hello = (p: Pair) => p.frames()[0];
export const says = (p: Pair, frame: object) => {
  p.socket.deliver(JSON.stringify(frame));
  return p.settle();
};
export const bye = (more: object) => ({ type: 'bye', code: 4100, reconnect: true, resume: false, ...more });
/** A server that hears hello, says only this, and goes. */
export const refuse = async (p: Pair, frame: object) => {
  await p.settle();
  p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
  await p.settle();
  await says(p, frame);
  p.socket.cut();
  await p.clock.advance(0);
};
/** A server without sessions: nothing outlives its connection. */
export const NO_SESSIONS = { sessions: false } as const;
/** A server whose sessions are over before a client comes back. */
export const BRIEF_SESSIONS = { sessions: { ttl: 500 } } as const;

/** A server that keeps nothing of its channels. */
export const noHistory = () => ({ broker: new MemoryBroker({ history: false }) });
/** Some epoch. */
export const EPOCH: unknown = expect.stringMatching(/./);

/** A server by hand, from its welcome on: it has a session, and says what it is told to. */
export async function byHand(p: Pair): Promise<void> {
  await p.settle();
  p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
  await p.settle();
  const features = ['calls', 'channels', 'binary', 'resume'];
  const limits = { message: 65_536, window: 256 };
  const heartbeat = { interval: 15_000, timeout: 5_000 };
  await says(p, { type: 'welcome', version: 1, features, resumed: false, session: 's', key: 'k', received: 0, heartbeat, limits });
}

export const hang = { handlers: { methods: { hang: () => new Promise(() => {}) } } };

/** A pair whose server notes what it gets. */
export function listening(options: ClientOptions = {}, server: HostOptions = {}): { p: Pair; got: unknown[] } {
  const got: unknown[] = [];
  const p = pair(options, { ...server, handlers: { events: { note: (data) => void got.push(data) } } });
  return { p, got };
}

/** The same, with a socket that is not accepted yet. */
export function offline(options: ClientOptions = {}, server: HostOptions = {}) {
  const { p, got } = listening(options, server);
  p.reachable = false;
  const accept = async () => {
    await p.settle();
    p.socket.accept(p.host);
    await p.settle();
  };
  return { p, got, accept };
}

export const VALUES = [0, '', false, null, 'text', [1, [2]], { a: { b: null } }];

export type Handler = (params: unknown, context: { readonly signal: AbortSignal }) => unknown;

/** Who calls and who answers, whichever way round. */
export interface Talk {
  readonly p: Pair;
  call(method: string, params?: unknown, options?: { signal?: AbortSignal; timeout?: number }): Promise<unknown>;
  handle(method: string, handler: Handler): void;
  /** Frames by the caller, and by the one who answers, on the newest connection; without their numbers, which are right. */
  asked(): Frame[];
  answered(): Frame[];
}

export const CALLS = ['request', 'cancel'];
export const FINALS = ['response', 'error'];

export async function talk(caller: 'client' | 'server', options: ClientOptions = {}, server: HostOptions = {}): Promise<Talk> {
  const methods: Record<string, Handler> = {};
  const p = pair(options, { ...server, handlers: { methods } });
  await p.settle();
  const mine = caller === 'client';
  const spoken = (isMine: boolean, types: string[]) =>
    saidBy(isMine ? 'client' : 'server', p.socket).filter(({ type }) => types.includes(type));
  return {
    p,
    call: (...args) => (mine ? p.client.call(...args) : p.peer.call(...args)),
    handle: (method, handler) => (mine ? Object.assign(methods, { [method]: handler }) : p.client.handle(method, handler)),
    asked: () => spoken(mine, CALLS),
    answered: () => spoken(!mine, FINALS),
  };
}

/** A handler that hangs, and notes why it was told to stop. */
export function hanging() {
  const reasons: unknown[] = [];
  const handler: Handler = (_params, { signal }) => {
    signal.addEventListener('abort', () => reasons.push(signal.reason));
    return new Promise(() => {});
  };
  return { handler, reasons };
}

export function cycle(): object {
  const value: Record<string, unknown> = {};
  value['self'] = value;
  return value;
}
