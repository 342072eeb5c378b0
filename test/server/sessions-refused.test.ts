/** Sessions on the server: hellos that must not go on with one, by mistake or on purpose, and sessions that cost too much. */

import { describe, expect, it } from 'vitest';
import { settled } from '../support/fake-clock.ts';
import { told } from '../support/hand-server.ts';
import { asking, events, fate, sessionHost } from '../support/session-host.ts';

/** A server that decides who is there when the test says so. */
function deciding() {
  const decisions: (() => void)[] = [];
  const authenticate = (token: unknown) => (token === 'slow' ? new Promise((resolve) => decisions.push(() => resolve('ida'))) : 'ida');
  return { decisions, h: sessionHost({ authenticate }) };
}

type Visitor = Awaited<ReturnType<ReturnType<typeof sessionHost>['comes']>>;

/** The connection goes on as if nothing had happened. */
async function isUntouched(host: ReturnType<typeof sessionHost>['host'], visitor: Visitor, principal?: unknown) {
  expect([visitor.closes, visitor.news()]).toEqual([[], []]);
  const client = host.clients[0];
  expect([client?.isConnected, client?.principal]).toEqual([true, principal]);
  client?.send('still', 1);
  await settled();
  expect(told(visitor.news()).map((line) => line.replace(/\d+$/, ''))).toEqual(['event still #']);
}

describe('a session', () => {
  it.each([
    ['without its last character', (key: string) => key.slice(0, -1)],
    ['without its first character', (key: string) => key.slice(1)],
    ['with one more', (key: string) => `${key}0`],
    ['with a NUL behind it', (key: string) => `${key}\0`],
    ['twice', (key: string) => key + key],
    ['empty', () => ''],
    ['in capitals', (key: string) => `${key}a`.toUpperCase().slice(0, key.length)],
    ['with its last character changed', (key: string) => key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')],
    ['of as many NULs', (key: string) => '\0'.repeat(key.length)],
  ])('does not go on with a wrong key, and is not known to whoever has one: %s', async (_what, change) => {
    const { host, stays, comes } = sessionHost({ createId: letters() });
    const first = await stays();
    const wrong = await comes(asking(first.welcome, 1, 0, { key: change(String(first.welcome['key'])) }));
    expect(fate(wrong.welcome)).toBe('unknown');
    expect(wrong.welcome['session']).not.toBe(first.welcome['session']);
    await isUntouched(host, first);
    expect(fate((await comes(asking(first.welcome))).welcome)).toBe('resumed');
  });

  it('does not go on with the key of another, or its own name for a key', async () => {
    const { host, stays, comes } = sessionHost();
    const [first, other] = [await stays(), await stays()];
    for (const key of [other.welcome['key'], other.welcome['session'], first.welcome['session']])
      expect(fate((await comes(asking(first.welcome, 1, 0, { key }))).welcome)).toBe('unknown');
    await isUntouched(host, first);
    expect(other.closes).toEqual([]);
  });

  it.each(['', '__proto__', 'constructor', 'x'.repeat(10_000), '0'.repeat(32)])('that never was is unknown: %s', async (session) => {
    const { stays, comes } = sessionHost();
    await stays();
    const { welcome } = await comes(asking({ type: 'welcome', session, key: 'key' }));
    expect([fate(welcome), welcome['resumed']]).toEqual(['unknown', false]);
  });

  it('of one principal does not go on for another, who has its key; who has it can go on', async () => {
    const { host, stays, comes } = sessionHost({ authenticate: (token) => token });
    const first = await stays({ auth: 'ida' });
    for (const auth of ['bob', undefined, null, ['ida'], { id: 'ida' }])
      expect(fate((await comes({ ...asking(first.welcome), auth })).welcome)).toBe('identity');
    await isUntouched(host, first, 'ida');
    first.port.closed();
    expect(fate((await comes({ ...asking(first.welcome), auth: 'bob' })).welcome)).toBe('identity');
    expect(fate((await comes({ ...asking(first.welcome), auth: 'ida' })).welcome)).toBe('resumed');
  });

  it('knows its principal by what it says of itself, or by what `identityOf` says of it', async () => {
    const objects = sessionHost({ authenticate: (token) => ({ id: token, at: Math.random() }) });
    const first = await objects.stays({ auth: 1 });
    expect(fate((await objects.comes({ ...asking(first.welcome), auth: '1' })).welcome)).toBe('identity');
    expect(fate((await objects.comes({ ...asking(first.welcome), auth: 1 })).welcome)).toBe('resumed');
    const named = sessionHost({ authenticate: (token) => token, identityOf: (principal) => String(principal).slice(0, 3) });
    const second = await named.stays({ auth: 'ida at home' });
    expect(fate((await named.comes({ ...asking(second.welcome), auth: 'bob' })).welcome)).toBe('identity');
    expect(fate((await named.comes({ ...asking(second.welcome), auth: 'ida on the train' })).welcome)).toBe('resumed');
  });

  it('does not go on for one who cannot be told apart from others', async () => {
    const principal = { id: () => 'ida' };
    const { stays, comes } = sessionHost({ authenticate: (token) => (token === 'ida' ? principal : { id: () => 'bob' }) });
    const first = await stays({ auth: 'ida' });
    expect(fate((await comes({ ...asking(first.welcome), auth: 'bob' })).welcome)).not.toBe('resumed');
  });

  it('goes on for a hello that is refused by nobody: authentication that fails says nothing, and touches nothing', async () => {
    const { host, stays, comes } = sessionHost({
      authenticate: (token) => {
        if (token !== 'ida') throw new Error('who?');
        return token;
      },
    });
    const first = await stays({ auth: 'ida' });
    const wrong = await comes({ ...asking(first.welcome), auth: 'bob' });
    expect([wrong.closes, wrong.welcome.type]).toEqual([[1_011], 'bye']);
    await isUntouched(host, first, 'ida');
  });
});

describe('a late hello', () => {
  it.each([0, 1, 2])(
    'of an old generation (%i after 2) begins another session, and leaves the live connection alone',
    async (generation) => {
      const { host, stays, comes } = sessionHost();
      const first = await stays();
      const live = await comes(asking(first.welcome, 2));
      expect(fate(live.welcome)).toBe('resumed');
      const late = await comes(asking(first.welcome, generation));
      expect(fate(late.welcome)).toBe('mismatch');
      await isUntouched(host, live);
      expect(late.welcome['session']).not.toBe(first.welcome['session']);
    },
  );

  it('that is still being authenticated when a newer one is welcomed is too late', async () => {
    const { decisions, h } = deciding();
    const first = await h.stays();
    const late = await h.comes({ ...asking(first.welcome, 1), auth: 'slow' });
    const live = await h.comes(asking(first.welcome, 2));
    expect(fate(live.welcome)).toBe('resumed');
    decisions[0]?.();
    await settled();
    expect(fate(late.news()[0] ?? { type: 'nothing' })).toBe('mismatch');
    await isUntouched(h.host, live, 'ida');
  });

  it('that is newer takes over from one that was quicker', async () => {
    const { decisions, h } = deciding();
    const first = await h.stays();
    const newest = await h.comes({ ...asking(first.welcome, 3), auth: 'slow' });
    const quick = await h.comes(asking(first.welcome, 2));
    decisions[0]?.();
    await settled();
    expect(fate(newest.news()[0] ?? { type: 'nothing' })).toBe('resumed');
    expect(quick.closes).toEqual([4_409]);
    expect(fate((await h.comes(asking(first.welcome, 3))).welcome)).toBe('mismatch');
  });

  it('does not go on with a session that ended while it was being authenticated', async () => {
    const { decisions, h } = deciding();
    const first = await h.stays();
    const late = await h.comes({ ...asking(first.welcome), auth: 'slow' });
    await first.says({ type: 'bye', code: 1_000, reconnect: false, resume: false });
    decisions[0]?.();
    await settled();
    expect(fate(late.news()[0] ?? { type: 'nothing' })).toBe('unknown');
    expect(h.host.clients).toHaveLength(1);
  });

  it('whose connection is gone before its welcome takes nothing over', async () => {
    const { decisions, h } = deciding();
    const first = await h.stays();
    const late = await h.comes({ ...asking(first.welcome), auth: 'slow' });
    late.port.closed();
    decisions[0]?.();
    await settled();
    await isUntouched(h.host, first, 'ida');
    expect(fate((await h.comes(asking(first.welcome, 1))).welcome)).toBe('resumed');
  });

  it('that breaks the protocol before its welcome leaves the live connection alone: what it is owed is told to it', async () => {
    const h = sessionHost({ authorize: () => new Promise(() => {}) });
    const first = await h.stays();
    await first.says(...events(1));
    const broken = await h.comes({ ...asking(first.welcome, 7), subscriptions: [{ channel: 'a' }] });
    await broken.says({ type: 'ping' });
    expect(broken.closes).toEqual([4_400]);
    await h.clock.advance(1_000);
    expect(first.news()).toEqual([{ type: 'ack', received: 1 }]);
    expect(h.host.clients).toMatchObject([{ isConnected: true }]);
    expect(fate((await h.comes(asking(first.welcome, 7))).welcome)).toBe('resumed');
  });
});

describe('what a hello says it received', () => {
  it.each([
    ['less than it acknowledged', 1],
    ['more than was sent', 4],
    ['everything there is', Number.MAX_SAFE_INTEGER],
  ])('cannot be %s: the session does not go on, and is not touched', async (_what, received) => {
    const { host, stays, comes } = sessionHost();
    const first = await stays();
    for (const data of [1, 2, 3]) host.clients[0]?.send('a', data);
    await first.says({ type: 'ack', received: 2 });
    first.news();
    const { welcome } = await comes(asking(first.welcome, 1, received));
    expect(fate(welcome)).toBe('mismatch');
    await isUntouched(host, first);
    expect(told((await comes(asking(first.welcome, 1, 2))).rest)).toEqual(['event a #3', 'event still #4']);
  });

  it.each([
    ['received', -1],
    ['received', 0.5],
    ['received', 2 ** 53],
    ['received', '0'],
    ['received', undefined],
    ['generation', -1],
    ['generation', 1.5],
    ['generation', Infinity],
    ['generation', undefined],
    ['session', 1],
    ['session', undefined],
    ['key', null],
    ['key', ['key']],
  ])('is a violation (4400) where it is no such thing: %s %s', async (field, value) => {
    const { host, stays, comes } = sessionHost();
    const first = await stays();
    const wrong = await comes(asking(first.welcome, 1, 0, { [field]: value }));
    expect([wrong.closes, wrong.welcome.type]).toEqual([[4_400], 'bye']);
    await isUntouched(host, first);
  });
});

describe('too much', () => {
  it('for a client that is away ends its session: the next hello is told `overflow`', async () => {
    const gone: string[] = [];
    const { host, stays, comes } = sessionHost({ limits: { buffered: 5_000 }, ondisconnection: ({ id }) => void gone.push(id) });
    const [away, there] = [await stays(), await stays()];
    away.port.closed();
    const client = host.clients[0];
    expect(client?.send('a', 'x'.repeat(4_000))).toBe(true);
    expect([client?.send('a', 'x'.repeat(2_000)), client?.isOpen, gone]).toEqual([false, false, ['1']]);
    expect(there.closes).toEqual([]);
    expect(fate((await comes(asking(away.welcome))).welcome)).toBe('overflow');
  });

  it('for all that are away together ends the ones that are away longest, and nobody who is there', async () => {
    const gone: string[] = [];
    const { host, stays, comes } = sessionHost({ sessions: { bytes: 10_000 }, ondisconnection: ({ id }) => void gone.push(id) });
    const visitors = [await stays(), await stays(), await stays(), await stays()];
    for (const i of [1, 0, 2]) visitors[i]?.port.closed(); // the second one first
    const [a, b, c, there] = host.clients;
    const large = 'x'.repeat(4_000);
    for (const client of [there, there, there, a, b]) client?.send('a', large);
    expect(gone).toEqual([]);
    c?.send('a', large);
    expect(gone).toEqual(['2']);
    expect(
      await Promise.all([0, 1, 2].map(async (i) => fate((await comes(asking(visitors[i]?.welcome ?? { type: '' }))).welcome))),
    ).toEqual(['resumed', 'overflow', 'resumed']);
  });

  it('is counted for those who leave with it, and not any more for those who are back', async () => {
    const gone: string[] = [];
    const { host, stays, comes } = sessionHost({ sessions: { bytes: 10_000 }, ondisconnection: ({ id }) => void gone.push(id) });
    const [first, second, third] = [await stays(), await stays(), await stays()];
    for (const client of host.clients) client.send('a', 'x'.repeat(4_000));
    await settled();
    first.port.closed();
    await comes(asking(first.welcome));
    second.port.closed();
    await comes(asking(second.welcome, 1, 1));
    third.port.closed();
    expect(gone).toEqual([]);
    host.clients[2]?.send('a', 'x'.repeat(6_000));
    expect(gone).toEqual(['3']);
  });

  it('of sessions without a connection ends the oldest', async () => {
    const gone: string[] = [];
    const { host, stays } = sessionHost({ sessions: { capacity: 2 }, ondisconnection: ({ id }) => void gone.push(id) });
    const visitors = [await stays(), await stays(), await stays(), await stays()];
    for (const i of [2, 0, 1]) visitors[i]?.port.closed();
    expect([gone, host.clients.map(({ id }) => id)]).toEqual([['3'], ['1', '2', '4']]);
  });

  it('of one principal ends its oldest, and nobody else’s: those of nobody in particular are no crowd', async () => {
    const gone: string[] = [];
    const { stays } = sessionHost({
      authenticate: (token) => token,
      sessions: { perPrincipal: 2 },
      ondisconnection: ({ id }) => void gone.push(id),
    });
    const leaves = async (auth: unknown, address: string) => (await stays({ ...(auth !== undefined && { auth }) }, address)).port.closed();
    for (const [auth, address] of [
      ['bob', '1'],
      ['ida', '1'],
      ['ida', '2'],
      [undefined, '1'],
      [undefined, '1'],
      [undefined, '2'],
      ['address 1', '1'], // somebody who is called like an address
    ] as const)
      await leaves(auth, address);
    expect(gone).toEqual([]);
    await leaves('ida', '3');
    expect(gone).toEqual(['2']);
    for (let i = 0; i < 20; i++) await leaves(undefined, '1'); // a proxy has one address for all
    expect(gone).toEqual(['2']);
  });

  it('is nothing at all where there is room for none: who leaves is gone', async () => {
    for (const sessions of [{ capacity: 0 }, { perPrincipal: 0 }]) {
      const { host, stays, clock } = sessionHost({ sessions, authenticate: () => 'ida' });
      (await stays()).port.closed();
      expect([host.clients, clock.pending]).toEqual([[], 0]);
    }
  });
});

describe('a hook that throws', () => {
  const fails = () => {
    throw new Error('mine');
  };

  it('in `identityOf` is reported, and its client goes on with no session', async () => {
    const { host, stays, comes, errors } = sessionHost({ identityOf: fails });
    const first = await stays();
    expect(fate((await comes(asking(first.welcome))).welcome)).toBe('identity');
    await isUntouched(host, first);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.every((error) => error.startsWith('identityOf: '))).toBe(true);
  });

  it('in `identityOf` for a client that leaves is reported, and harms nobody', async () => {
    const { host, stays } = sessionHost({ authenticate: () => 'ida', identityOf: fails });
    const [first, second] = [await stays(), await stays()];
    expect(() => first.port.closed()).not.toThrow();
    expect([host.clients.length, second.closes]).toEqual([2, []]);
  });

  it('in `createId` is reported, and costs its client the connection (1011), and nobody else anything', async () => {
    let broken = false;
    const { host, stays, comes, errors, clock } = sessionHost({ createId: () => (broken ? fails() : `${Math.random()}`) });
    const first = await stays();
    broken = true;
    const second = await comes();
    expect([second.closes, errors.length]).toEqual([[1_011], 1]);
    broken = false;
    await isUntouched(host, first);
    expect(fate((await comes(asking(first.welcome))).welcome)).toBe('resumed');
    expect(host.clients).toHaveLength(1);
    await clock.advance(2_000);
  });
});

/** Ids with letters only, so that capitals differ. */
function letters() {
  let count = 0;
  return () => `secret-${'abcdefghij'[count++]}`;
}
