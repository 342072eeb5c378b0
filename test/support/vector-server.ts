/** The server of this library as the vectors ask for one (docs/protocol-vectors.md), in memory. */

import { CallError, UnauthorizedError } from '../../src/errors.ts';
import { Host } from '../../src/server/host.ts';
import { MemoryBroker } from '../../src/server/memory-broker.ts';
import type { HandlerContext } from '../../src/server/options.ts';
import { FakeClock } from './fake-clock.ts';
import type { Subject, Wire } from './replay.ts';
import { dataOf, methodsOf, pause, speak } from './vector-deeds.ts';
import { Inbox } from './vector-inbox.ts';

/** One of its own, with a clock of its own. */
export function serverSubject(): Subject {
  const clock = new FakeClock();
  const host = hostOn(clock);
  return {
    time: { pass: (ms) => clock.advance(ms), isBack: false },
    async connect(): Promise<Wire> {
      const inbox = new Inbox(clock);
      const port = host.accept(
        {
          bufferedAmount: 0,
          send: (message) => inbox.message(message),
          close: (code) => {
            inbox.closed(code);
            queueMicrotask(() => port.closed());
          },
          terminate: () => port.closed(),
        },
        { url: '/', headers: {}, address: '10.0.0.1' },
      );
      return { send: (message) => port.receive(message), next: () => inbox.next(), end: () => port.closed() };
    },
    does(action) {
      const client = host.clients.at(-1);
      if (action['shutdown']) void host.close();
      else if (typeof action['publish'] === 'string') host.publish(action['publish'], dataOf(action));
      else if (typeof action['close'] === 'number') client?.close(action['close']);
      else if (client) speak(client, action);
    },
  };
}

function hostOn(clock: FakeClock): Host {
  return new Host({
    clock,
    broker: new MemoryBroker({ clock, history: (channel) => (channel.startsWith('kept') ? { size: 3 } : undefined) }),
    onerror: () => {}, // an answer that is too large is reported
    authenticate: (token) => {
      if (token === 'nobody') throw new UnauthorizedError('nobody is that');
      if (token === 'forbidden') throw new CallError('PERMISSION_DENIED', 'not you');
      return token;
    },
    nameOf: ({ principal }) => (typeof principal === 'string' ? principal : undefined),
    authorize: ({ action, channel }) => channel !== 'forbidden' && (action !== 'presence' || channel !== 'private'),
    handlers: {
      methods: { ...methodsOf(clock), items, collect, run: (params, context) => run(params, context, clock) },
      events: { echo: (data, { client }) => client.send('echo', data) },
    },
  });
}

/** A stream of what is in its parameters. */
async function* items(params: unknown) {
  for (const each of params as unknown[]) {
    const { fail } = Object(each) as { fail?: string };
    if (fail) throw new CallError(fail, 'as you wish');
    yield each;
  }
}

/** What is uploaded, or how many items; all of it, or the first ones, and then it answers, or does not. */
async function collect(params: unknown, { upload }: HandlerContext): Promise<unknown> {
  const { read = Infinity, stops, count } = Object(params) as { read?: number; stops?: boolean; count?: boolean };
  const collected: unknown[] = [];
  for await (const item of upload) {
    collected.push(item instanceof Uint8Array ? { base64: Buffer.from(item).toString('base64') } : item);
    if (collected.length < read) continue;
    if (stops) await new Promise<never>(() => {});
    break;
  }
  return count ? collected.length : collected;
}

/** Tells that it runs, takes its time, unless it is aborted, and returns nothing, or fails. */
async function run(params: unknown, { client, signal }: HandlerContext, clock: FakeClock): Promise<unknown> {
  const { ms, code } = Object(params) as { ms?: number; code?: string };
  client.send('ran');
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  if (ms !== undefined) await Promise.race([pause(clock, { ms }), aborted]);
  if (code !== undefined) throw new CallError(code, 'as you wish');
  return null;
}
