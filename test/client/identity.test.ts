/** Who a client speaks for: fresh credentials on a live connection, and another user in the place of the one before. */

import { describe, expect, it } from 'vitest';
import { Client } from '../../src/client.ts';
import { ClosedError, UnauthorizedError } from '../../src/errors.ts';
import { presence } from '../../src/presence.ts';
import type { HostOptions } from '../../src/server/options.ts';
import { stream } from '../../src/stream.ts';
import { odd } from '../support/face.ts';
import { settled } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { type Pair, pair } from '../support/link.ts';
import { hello, says } from './support.ts';

/** Tokens are "user until": the server believes them, and looks at the time. */
const tokens: HostOptions = {
  authenticate: (token) => {
    const [user, until] = String(token).split(' ');
    return { id: user, until: Number(until) };
  },
  expiresAt: (principal) => (principal as { until: number }).until,
};
const START = 1_700_000_000_000;

/** A client whose tokens last so long each; the server's clock is its own. */
function expiring(lasts: number, auth: (issue: () => string, now: number, nth: number) => unknown = (issue) => issue()) {
  const asked: number[] = [];
  const errors: unknown[] = [];
  const now = () => made.p?.clock.now() ?? 0;
  const made: { p?: Pair } = {};
  const p = pair(
    {
      auth: () => {
        asked.push(now());
        return auth(() => `ida ${START + now() + lasts}`, now(), asked.length);
      },
    },
    tokens,
  );
  made.p = p;
  p.client.addEventListener('error', ({ error }) => errors.push((error.cause as Error | undefined)?.message ?? error.message));
  return { p, asked, errors };
}

const auths = (p: Pair) => p.frames().filter(({ type }) => type === 'auth');

describe('credentials that expire', () => {
  it('are renewed on the connection that there is, half a minute before, again and again', async () => {
    const { p, asked } = expiring(300_000);
    await p.clock.advance(1_500_000);
    expect(p.log).toEqual(['open']);
    expect(p.client.stats.connections).toBe(1);
    expect(asked).toEqual([0, 270_000, 540_000, 810_000, 1_080_000, 1_350_000]);
    expect(auths(p)).toHaveLength(5);
    expect(p.peer.principal).toEqual({ id: 'ida', until: START + 1_350_000 + 300_000 });
  });

  it('that last two seconds are renewed after one', async () => {
    const { p } = expiring(2_000);
    await p.clock.advance(10_500);
    expect(p.log).toEqual(['open']);
    expect(auths(p)).toHaveLength(10);
  });

  it('are asked for once at a time, however often the server asks', async () => {
    let give: (token: string) => void = () => {};
    const { p, asked } = expiring(300_000, (issue, _, nth) => (nth > 1 ? new Promise((resolve) => (give = resolve)) : issue()));
    await p.settle();
    for (let i = 0; i < 5; i++) await says(p, { type: 'auth', within: 30_000 });
    expect(asked).toHaveLength(2);
    give(`ida ${START + 900_000}`);
    await p.settle();
    expect(auths(p)).toHaveLength(1);
    await says(p, { type: 'auth', within: 30_000 });
    expect(asked).toHaveLength(3);
  });

  it('that are not renewed end the connection with 4401, and the session goes on with fresh ones', async () => {
    const { p, errors } = expiring(100_000, (issue, now) => {
      if (now > 60_000 && now < 100_000) throw new Error('offline');
      return issue();
    });
    await p.clock.advance(100_000);
    await p.clock.advance(1_000);
    expect(errors[0]).toBe('offline');
    expect(p.log.filter((line) => !line.startsWith('error'))).toEqual(['open', 'close 4401 again', 'open']);
    expect(p.client.state).toMatchObject({ status: 'open', resumed: true });
  });

  it('are asked for again while there is time, where the first try fails', async () => {
    const { p, asked } = expiring(100_000, (issue, _, nth) => {
      if (nth === 2) throw new Error('offline');
      return issue();
    });
    await p.clock.advance(150_000);
    expect(p.log).toEqual(['open', 'error AUTH_FAILED']);
    expect(asked.length).toBeGreaterThan(2);
  });

  it('that nobody has any more end it, as unauthorized', async () => {
    const { p } = expiring(100_000, (issue, now) => {
      if (now > 0) throw new UnauthorizedError('signed out elsewhere');
      return issue();
    });
    await p.clock.advance(70_000);
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'unauthorized', error: { message: 'signed out elsewhere' } });
  });

  it('come too late when the connection is gone: nothing of them is used', async () => {
    let give: (token: string) => void = () => {};
    const { p } = expiring(100_000, (issue, _, nth) => (nth === 2 ? new Promise((resolve) => (give = resolve)) : issue()));
    await p.clock.advance(70_000);
    const first = p.socket;
    first.cut();
    await p.clock.advance(1_000);
    give('eve 1');
    await p.settle();
    expect(hello(p)).toMatchObject({ auth: `ida ${START + 171_000}` });
    expect(JSON.stringify(p.sockets.map(({ sent }) => sent))).not.toContain('eve');
  });

  it('of somebody else are refused on a connection that belongs to one', async () => {
    const { p, errors } = expiring(100_000, (issue, now) => (now > 0 ? `eve ${START + 900_000}` : issue()));
    await p.clock.advance(71_000);
    expect(errors[0]).toBe('They are those of somebody else');
    expect(p.peer.principal).toMatchObject({ id: 'ida' });
  });

  it.each([
    ['that are over already', START - 1],
    ['that are over now', START],
  ])('%s are 4401 at once, and then the end', async (_what, until) => {
    const p = pair({ auth: () => `ida ${until}` }, tokens);
    await p.clock.advance(5_000);
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'unauthorized', code: 4_401 });
    expect(p.sockets).toHaveLength(2);
  });

  it.each([undefined, Infinity])('that last for ever (%s) are never asked for', async (until) => {
    const p = pair({ auth: () => 'ida' }, { ...tokens, expiresAt: () => until });
    await p.clock.advance(86_400_000);
    expect(auths(p)).toEqual([]);
    expect(p.log).toEqual(['open']);
  });

  it('may last longer than a timer', async () => {
    const days = 40 * 86_400_000;
    const { p } = expiring(days);
    await p.settle();
    p.clock.jump(days - 60_000);
    await p.clock.advance(0);
    await says(p, { type: 'pong' });
    expect(auths(p)).toEqual([]);
  });

  it.each<[string, () => number]>([
    ['no time', () => odd('tomorrow')],
    ['NaN: the token has no end', () => Number.NaN],
  ])('whose end is %s are reported, and not good', async (_what, expiresAt) => {
    const p = pair({ auth: () => 'ida' }, { ...tokens, expiresAt });
    await p.clock.advance(10);
    expect(p.errors).toEqual([
      expect.stringMatching(/^expiresAt: Option "expiresAt" returned .*; it returns epoch milliseconds, or undefined$/),
    ]);
    expect(p.log).toEqual(['close 4401 again']);
  });
});

describe('auth', () => {
  it('is not asked while the client is being made, and not at all where it is closed in the same task', async () => {
    const seen: unknown[] = [];
    const p: Pair = pair({ auth: () => seen.push(p.client.state.status) });
    expect(seen).toEqual([]);
    await p.settle();
    expect(seen).toEqual(['connecting']);
    const asked: unknown[] = [];
    const other = pair({ auth: () => asked.push(1) });
    void other.client.close();
    await other.settle();
    expect([asked, other.sockets.length]).toEqual([[], 0]);
  });

  it('that hangs leaves no timer behind once it was given up', async () => {
    const p = pair({ auth: () => new Promise(() => {}) });
    for (let i = 0; i < 10; i++) {
      await p.settle();
      p.client.setAuth(() => new Promise(() => {}));
    }
    await p.settle();
    expect(p.clock.pending).toBe(2); // of the attempt and of its auth
    void p.client.close();
    await p.clock.advance(10);
    expect(p.clock.pending).toBe(0);
  });

  it('of nobody, whose address comes too late, is not heard while the socket of the next one is opening', async () => {
    let late = (_url: string) => {};
    let asked = 0;
    const slow = new Promise<string>((resolve) => {
      late = resolve;
    });
    const sockets: FakeSocket[] = [];
    const client = new Client(() => (asked++ === 0 ? slow : 'wss://example.test/'), {
      createSocket: (...args) => {
        const socket = new FakeSocket(...args);
        sockets.push(socket);
        return socket;
      },
    });
    const settle = async () => {
      for (let i = 0; i < 20; i++) await settled();
    };
    await settle();
    client.setAuth(() => 'bob');
    await settle();
    late('wss://example.test/');
    await settle();
    sockets[0]?.accepts();
    await settle();
    expect(sockets).toHaveLength(1);
    expect(JSON.parse(String(sockets[0]?.sent[0]))).toMatchObject({ type: 'hello', auth: 'bob' });
    void client.close();
    sockets[0]?.closed();
  });

  it('has its own time, and is told when it is over', async () => {
    const signals: AbortSignal[] = [];
    const p = pair({ authTimeout: 3_000, auth: ({ signal }) => new Promise(() => signals.push(signal)) });
    await p.clock.advance(2_999);
    expect(p.log).toEqual([]);
    await p.clock.advance(1);
    expect(p.log).toEqual(['error AUTH_FAILED', 'close 1006 again']);
    expect(signals[0]?.reason).toMatchObject({ message: 'Option "auth" took longer than 3000 ms' });
    expect(p.sockets).toEqual([]);
  });
});

/** Everything that a user can have under way. */
async function busy(p: Pair) {
  const outcomes: string[] = [];
  const told = (what: string) => (error: Error) => void outcomes.push(`${what}: ${error.name}`);
  p.client.send('note', 'written');
  p.client.call('never').catch(told('call'));
  const items = stream(p.client, 'ticks');
  items.next().catch(told('stream'));
  const subscription = p.client.channel('secret', { params: { token: "ida's" } }).subscribe();
  const here = presence(p.client.channel('secret'), { data: { name: 'ida' } });
  await p.settle();
  subscription.ready.catch(told('subscription'));
  return { outcomes, here };
}

const serving = (seen: string[] = []): HostOptions => ({
  authenticate: (token) => token,
  handlers: {
    methods: { never: () => new Promise(() => {}), ticks: () => new Promise(() => {}), who: (_, { client }) => client.principal },
    events: { note: (data, { client }) => void seen.push(`${client.principal}: ${data}`) },
  },
});

describe('setAuth()', () => {
  it('lets nothing of the one before go out under the name of the next', async () => {
    const seen: string[] = [];
    const p = pair({ auth: () => 'ida' }, serving(seen));
    await p.settle();
    const { outcomes, here } = await busy(p);
    const first = p.socket;
    first.vanish(); // what is written now is not acknowledged
    p.client.send('note', 'lost');
    await p.settle();
    p.client.setAuth(() => 'bob');
    p.client.send('note', 'of bob');
    await p.settle();
    expect(p.sockets).toHaveLength(2);
    expect(hello(p)).toMatchObject({ auth: 'bob' });
    expect(hello(p)).not.toHaveProperty('resume');
    expect(hello(p)).not.toHaveProperty('subscriptions');
    expect(JSON.stringify(p.frames())).not.toMatch(/ida|lost/);
    expect(seen).toEqual(['ida: written', 'bob: of bob']);
    expect(outcomes.sort()).toEqual(['call: ClosedError', 'stream: ClosedError']);
    expect([here.members.size, here.me]).toEqual([0, undefined]);
    expect(p.client.channel('secret').state).toEqual({ status: 'idle' });
    expect(await p.client.call('who')).toBe('bob');
  });

  it('while offline drops what waits, each with an event', async () => {
    const p = pair({ auth: () => 'ida' }, serving());
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    p.client.send('note', 1);
    const publishing = p.client.channel('secret').publish('mine');
    const receipt = publishing.acknowledged.catch((error: unknown) => error);
    p.client.setAuth(() => 'bob');
    expect(p.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event note signed-out', 'drop publish secret signed-out']);
    expect(await receipt).toBeInstanceOf(ClosedError);
    p.reachable = true;
    await p.clock.advance(20_000);
    expect(p.client.state.status).toBe('open');
    expect(JSON.stringify(p.frames())).not.toMatch(/ida|mine/);
  });

  it('ends the session of the one before, which is not waited for', async () => {
    const gone: unknown[] = [];
    const p = pair({ auth: () => 'ida' }, { ...serving(), ondisconnection: ({ principal }) => gone.push(principal) });
    await p.settle();
    p.client.setAuth(() => 'bob');
    await p.settle();
    expect(gone).toEqual(['ida']);
    expect(p.host.clients.map(({ principal }) => principal)).toEqual(['bob']);
  });

  it('ignores credentials that come late for the one before', async () => {
    let give: (token: string) => void = () => {};
    const p = pair({ auth: () => new Promise((resolve) => (give = resolve)) }, serving());
    await p.settle();
    p.client.setAuth(() => 'bob');
    await p.settle();
    give('ida');
    await p.settle();
    expect(p.sockets).toHaveLength(1);
    expect(hello(p)).toMatchObject({ auth: 'bob' });
  });

  it('on a client that is closed opens nothing, and connect() speaks for the new one', async () => {
    const p = pair({ auth: () => 'ida' }, serving());
    await p.settle();
    await p.client.close();
    p.client.setAuth(() => 'bob');
    await p.settle();
    expect(p.sockets).toHaveLength(1);
    void p.client.connect();
    await p.settle();
    expect(hello(p)).toMatchObject({ auth: 'bob' });
  });

  it('can be called by whoever is told of a drop, and the last word counts', async () => {
    const p = pair({ auth: () => 'ida' }, serving());
    p.reachable = false;
    await p.settle();
    p.client.send('note', 1);
    p.client.addEventListener('drop', () => p.client.setAuth(() => 'carol'), { once: true });
    p.client.setAuth(() => 'bob');
    p.reachable = true;
    await p.clock.advance(20_000);
    expect(hello(p)).toMatchObject({ auth: 'carol' });
    expect(p.client.state.status).toBe('open');
  });

  it.each([null, 'token', 7])('takes a function, or nothing: %s', (auth) => {
    expect(() => pair().client.setAuth(odd(auth))).toThrow(/setAuth\(\) takes a function, but got/);
  });
});

describe('an auth that gives another user, without a word', () => {
  it('sends nothing of the one before under the name of the next: neither what waited, nor what was not acknowledged', async () => {
    let user = 'ida';
    const seen: string[] = [];
    const p = pair({ auth: () => user }, serving(seen));
    await p.settle();
    p.client.send('note', 'first');
    await p.clock.advance(1_000); // and is acknowledged
    p.socket.vanish();
    p.client.send('note', 'not acknowledged');
    const call = p.client.call('never').catch((error: Error) => error.name);
    await p.settle();
    p.reachable = false;
    p.client.reconnect();
    await p.settle();
    p.client.send('note', 'waited');
    const waits = p.client.call('who').catch((error: Error) => error.name);
    user = 'bob';
    p.reachable = true;
    p.socket.cut();
    await p.clock.advance(1_000);
    await p.settle();
    p.client.send('note', 'of bob');
    await p.settle();
    expect(seen).toEqual(['ida: first', 'bob: of bob']);
    expect([await call, await waits]).toEqual(['SessionLostError', 'ClosedError']);
    expect(p.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event note session-lost', 'drop event note signed-out']);
  });
});

describe('an auth that gives another user, where the server knows nothing of the one before', () => {
  it.each([
    ['has forgotten the session', {}],
    ['has no sessions', { sessions: false }],
  ] as const)('sends nothing of the one before under the name of the next: the server %s', async (_why, sessions) => {
    let user: string | undefined = 'ida';
    const seen: string[] = [];
    const p = pair({ auth: () => user }, { ...serving(seen), ...sessions });
    await p.settle();
    /** Cuts it, and is back with what the server knows of nobody. */
    const returns = async () => {
      await p.clock.advance(1_000); // everything is acknowledged
      p.reachable = false;
      p.socket.cut();
      await p.settle();
      p.client.send('note', 'waited');
      await p.clock.advance(180_000);
      p.reachable = true;
      p.client.reconnect();
      await p.settle();
    };
    await returns();
    expect(seen).toEqual(['ida: waited']); // the same one
    user = 'bob';
    await returns();
    expect(seen).toEqual(['ida: waited']);
    expect(p.log.filter((line) => line.startsWith('drop'))).toEqual(['drop event note signed-out']);
    user = undefined;
    await returns();
    expect(seen).toEqual(['ida: waited']);
    p.client.setAuth(() => 'eve'); // said: what is written after it is hers
    p.client.send('note', 'of eve');
    await p.settle();
    expect(seen).toEqual(['ida: waited', 'eve: of eve']);
  });
});

describe('presence of somebody else', () => {
  const shown = (p: Pair) => p.frames().filter(({ type }) => type === 'presence');

  it('is not shown for the next user, whom auth gives without a word, and the client is told', async () => {
    let user = 'ida';
    const p = pair({ auth: () => user }, serving());
    const people = presence(p.client.channel('room'), { data: 'ida was here' });
    await p.settle();
    expect(shown(p)).toHaveLength(1);
    user = 'bob';
    p.client.reconnect();
    await p.settle();
    expect(p.client.state.status).toBe('open');
    expect(shown(p)).toEqual([]);
    expect(() => people.update('ida again')).toThrow(ClosedError);
    expect([people.isCurrent, people.members.size]).toEqual([false, 0]);
    expect(p.log.filter((line) => line.startsWith('error'))).toEqual(['error CLIENT_CLOSED']);
  });

  it('does not come to life again after setAuth()', async () => {
    const p = pair({ auth: () => 'ida' }, serving());
    const people = presence(p.client.channel('room'), { data: 'ida was here' });
    await p.settle();
    p.client.setAuth(() => 'bob');
    expect(() => people.update('ida again')).toThrow(ClosedError);
    expect(() => people.leave()).toThrow(ClosedError);
    await p.settle();
    expect(shown(p)).toEqual([]);
    expect(p.client.channel('room').state.status).toBe('idle');
  });
});

describe('signOut()', () => {
  it('closes, and leaves nothing behind for whoever comes next', async () => {
    const seen: string[] = [];
    const p = pair({ auth: () => 'ida' }, serving(seen));
    await p.settle();
    await busy(p);
    await p.client.signOut();
    expect(p.client.state).toMatchObject({ status: 'closed', cause: 'user' });
    expect(p.host.clients).toEqual([]);
    p.client.setAuth(() => 'bob');
    await p.client.connect();
    await p.settle();
    expect(hello(p)).toEqual(expect.not.objectContaining({ resume: expect.anything(), subscriptions: expect.anything() }));
    expect(JSON.stringify(p.frames())).not.toContain('ida');
    expect(await p.client.call('who')).toBe('bob');
  });

  it('without setAuth() goes on as nobody', async () => {
    const p = pair({ auth: () => 'ida' }, serving());
    await p.settle();
    await p.client.signOut();
    await p.client.connect();
    expect(hello(p)).not.toHaveProperty('auth');
  });
});
