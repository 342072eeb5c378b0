/** The sessions of a server: who may go on with which, for how long, and what they may cost. */

import { describe, expect, it } from 'vitest';
import type { ServerClient } from '../../src/server/client.ts';
import { type Refusal, type SessionLimits, SessionStore } from '../../src/server/sessions.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { asking, events, sessionHost } from '../support/session-host.ts';

const LIMITS: SessionLimits = { ttl: 1_000, capacity: 100_000, perPrincipal: 100_000, bytes: 1_000 };

/** A store, and clients that are nothing but what it sees of them. */
function storing(limits: Partial<SessionLimits> = {}) {
  const clock = new FakeClock();
  const store = new SessionStore({ ...LIMITS, ...limits }, clock);
  const log: string[] = [];
  const clients = new Map<string, { weight: number; accepts: boolean; readonly client: ServerClient }>();
  const add = (name: string, weight = 0) => {
    const facts = {
      secret: `key of ${name}`,
      identity: 'ida',
      weight,
      accepts: true,
      mayResume: () => facts.accepts,
      end: (why: Refusal) => {
        log.push(`${name} ${why}`);
        store.ended(name, client, why);
      },
    };
    const client = facts as unknown as ServerClient;
    clients.set(name, Object.assign(facts, { client }));
    store.add(name, client);
    return client;
  };
  const of = (name: string) => {
    const facts = clients.get(name);
    if (!facts) throw new Error(`there is no ${name}`);
    return facts;
  };
  const find = (session: string, key = `key of ${session}`, identity = 'ida') => {
    const found = store.find({ session, key, generation: 1, received: 0 }, identity);
    return typeof found === 'string' ? found : 'found';
  };
  return { clock, store, log, add, of, find };
}

describe('a session', () => {
  it('is found by its name, its whole key and its principal, and may have its own objections', () => {
    const { add, of, find, store } = storing();
    add('a');
    expect([find('a'), find('b'), find('a', 'key of '), find('a', 'key of ab'), find('a', '')]).toEqual([
      'found',
      'unknown',
      'unknown',
      'unknown',
      'unknown',
    ]);
    expect(find('a', 'key of a', 'bob')).toBe('identity');
    // Whoever has no key is told nothing, not even that the principal is another one.
    expect(find('a', 'key', 'bob')).toBe('unknown');
    of('a').accepts = false;
    expect(find('a')).toBe('mismatch');
    expect(store.size).toBe(1);
  });

  it('without a key goes on for nobody, whatever they bring', () => {
    const { add, of, find } = storing();
    add('a');
    Object.assign(of('a'), { secret: undefined });
    expect([find('a', 'undefined'), find('a', '')]).toEqual(['unknown', 'unknown']);
  });

  it('that is over is told why, as long as it is remembered: the last thousand are', () => {
    const { store, add, find } = storing();
    for (let i = 0; i <= 1_000; i++) store.ended(`${i}`, add(`${i}`), 'overflow');
    expect([find('0'), find('1'), find('1000'), store.size]).toEqual(['unknown', 'overflow', 'overflow', 0]);
  });

  it('is over once', () => {
    const { store, add, find } = storing();
    const client = add('a');
    store.ended('a', client, 'expired');
    store.ended('a', client, 'overflow');
    expect(find('a')).toBe('expired');
  });
});

describe('a client that is away', () => {
  it('is ended when its time is over, unless it is back by then', async () => {
    const { clock, store, add, log } = storing();
    const [a, b] = [add('a'), add('b')];
    store.left(a, 'ida');
    store.left(b, 'ida');
    await clock.advance(999);
    store.returned(b);
    store.returned(b);
    await clock.advance(10_000);
    expect([log, store.size, clock.pending]).toEqual([['a expired'], 1, 0]);
  });

  it('is weighed when it leaves and whenever there is more or less; what is there weighs nothing', () => {
    const { store, add, of, log } = storing();
    for (const name of ['a', 'b', 'c']) add(name, 400);
    const weighs = (name: string, weight: number) => {
      of(name).weight = weight;
      store.weigh(of(name).client);
    };
    store.left(of('a').client, '');
    store.left(of('b').client, '');
    weighs('c', 5_000); // is there
    weighs('b', 600); // 1000 in all
    expect(log).toEqual([]);
    weighs('a', 100);
    weighs('b', 900);
    store.returned(of('b').client);
    of('c').weight = 900;
    store.left(of('c').client, '');
    expect(log).toEqual([]);
    weighs('c', 901);
    expect([log, store.size]).toEqual([['a overflow'], 2]);
  });

  it('makes as many go as it takes, the longest away first, itself last', () => {
    const { store, add, log } = storing();
    for (const name of ['a', 'b', 'c']) store.left(add(name, 300), '');
    store.left(add('d', 800), '');
    expect(log).toEqual(['a overflow', 'b overflow', 'c overflow']);
    store.left(add('e', 5_000), '');
    expect(log.slice(3)).toEqual(['d overflow', 'e overflow']);
    expect(store.size).toBe(0);
  });

  it('that was back in between is not the longest away any more', () => {
    const { store, add, of, log } = storing({ capacity: 2 });
    for (const name of ['a', 'b']) store.left(add(name), '');
    store.returned(of('a').client);
    store.left(of('a').client, '');
    store.left(add('c'), '');
    expect(log).toEqual(['b overflow']);
  });

  it('goes before all others where it never said a word', () => {
    const { store, add, log } = storing({ capacity: 2 });
    store.left(add('real'), undefined);
    for (const name of ['flood 1', 'flood 2', 'flood 3']) store.left(add(name), undefined, false);
    expect(log).toEqual(['flood 1 overflow', 'flood 2 overflow']);
    store.left(add('another'), undefined);
    store.left(add('a third'), undefined);
    expect(log.slice(2)).toEqual(['flood 3 overflow', 'real overflow']);
  });

  it('counts for its principal only', () => {
    const { store, add, log } = storing({ perPrincipal: 1 });
    for (const name of ['ida', 'bob', 'eve']) store.left(add(`${name} 1`), name);
    store.left(add('bob 2'), 'bob');
    expect(log).toEqual(['bob 1 overflow']);
  });
});

describe('ten thousand sessions that come and go', () => {
  it('leave nothing behind in the store: no session, no timer, no byte', async () => {
    const { clock, store, add, of, log } = storing({ bytes: 1_000_000 });
    for (let i = 0; i < 10_000; i++) {
      const client = add(`${i}`, 100);
      if (i % 3 === 0) continue;
      store.left(client, `${i % 7}`);
      if (i % 3 === 1) store.returned(client);
    }
    for (let i = 0; i < 10_000; i += 3) store.ended(`${i}`, of(`${i}`).client, 'unknown');
    await clock.advance(1_000);
    for (let i = 1; i < 10_000; i += 3) store.ended(`${i}`, of(`${i}`).client, 'unknown');
    expect([store.size, clock.pending, log.length]).toEqual([0, 0, 3_333]);
    // What was counted for them is given back: there is room for as much as there ever was.
    store.left(add('large', 1_000_000), '');
    expect(log).toHaveLength(3_333);
  }, 30_000);

  it('leave nothing behind in the host', async () => {
    let count = 0;
    const { host, comes, clock, errors } = sessionHost({
      sessions: { ttl: 1_000 },
      onconnection: () => count++,
      ondisconnection: () => count--,
    });
    for (let i = 0; i < 10_000; i++) {
      const visitor = await comes({}, `${i % 200}`);
      await visitor.says(...events(1));
      host.clients.at(-1)?.send('a', i);
      visitor.port.closed();
      if (i % 100 === 99) await clock.advance(100);
      if (i % 100 === 50) (await comes(asking(visitor.welcome))).port.closed();
    }
    await clock.advance(1_000);
    expect([host.clients, host.connections, count, clock.pending, errors]).toEqual([[], 0, 0, 0, []]);
  }, 30_000);
});
