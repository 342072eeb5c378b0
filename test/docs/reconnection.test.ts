/** Whatever docs/reconnection.md says in tables, diagrams and numbers is what the code does. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { WebSocketServer } from 'ws';
import { backoff } from '../../src/core/backoff.ts';
import { type Effect, transition } from '../../src/core/machine.ts';
import { rawVerdict } from '../../src/core/retry-policy.ts';
import type { State } from '../../src/core/state.ts';
import { UnauthorizedError } from '../../src/errors.ts';
import { presence, type ReconnectingWebSocket, stream, upload } from '../../src/index.ts';
import { browserLifecycle, type LifecycleSignal } from '../../src/io/lifecycle.ts';
import { type ReconnectingWebSocketOptions, settle } from '../../src/options.ts';
import { MemoryBroker, type MemoryBrokerOptions, StreamItem } from '../../src/server/index.ts';
import type { Bye } from '../../src/wire/frames.ts';
import { holdfast } from '../../src/wire/holdfast.ts';
import { everyBlockIsRun } from '../support/code-blocks.ts';
import { final, next, seeded, serve } from '../support/e2e.ts';
import { odd, type World, world } from '../support/face.ts';
import { dies, type Pair, pair } from '../support/link.ts';
import { at, closedBy, type EventName, events, moment, rules } from '../support/machine.ts';
import { tableUnder } from '../support/markdown-tables.ts';
import { codeBlock, readDocument, root } from '../support/read-document.ts';
import { run } from '../support/run-block.ts';
import { startSocketHost } from '../support/socket-host.ts';

const path = 'docs/reconnection.md';
const { prose } = readDocument(path);

/** The rows of a table, by the heading above it and its number there; without its head. */
const table = (heading: string, number?: number) => tableUnder(path, heading, number).rows;

/** The value of a regular expression's first group, as a number; the text has to have it. */
function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`nothing in "${text}" is like ${pattern}`);
  return Number(found.replaceAll(',', ''));
}

const text = prose.join(' ');
/** The same with what `world` would otherwise choose for a test. */
const byDefault: ReconnectingWebSocketOptions = { backoff: odd(undefined) };

describe('the states', () => {
  // Complete by its type: a state more or less does not compile.
  const statuses = Object.keys({
    idle: 0,
    connecting: 0,
    open: 0,
    waiting: 0,
    offline: 0,
    closing: 0,
    closed: 0,
  } satisfies Record<State['status'], 0>).sort();

  it('are all in the table and in the diagram, and so they are in the matrix', () => {
    const inTable = table('States').map(([state]) => /^`(\w+)`/.exec(state ?? '')?.[1]);
    const matrix = readFileSync(join(root, 'test/model/matrix.golden.txt'), 'utf8');
    const inMatrix = [...matrix.matchAll(/^(?: {2}\S+ +)(\w+)(?= resolving| opening|:)/gm)].map(([, state]) => state);
    const inDiagram = ways().flatMap(({ from, to }) => [...from, to]);
    for (const found of [inTable, [...inMatrix, 'idle'], inDiagram]) expect([...new Set(found)].sort()).toEqual(statuses);
  });

  const fail = async (w: World) => {
    await w.settle();
    w.socket.fails();
  };
  /** How each row of the table is reached. */
  const reach: Record<string, () => Promise<World>> = {
    '`idle`': async () => world({ ...options, startClosed: true }),
    '`connecting`, no socket yet': async () => world(options, () => new Promise(() => {})),
    '`connecting`, with a socket': async () => settled(world(options)),
    '`open`': async () => opened(),
    '`waiting`': async () => having(world(options), fail),
    '`offline`': async () => {
      const w = world(options);
      w.page.onLine = false;
      return having(w, fail);
    },
    '`closing`, with a socket': async () => having(await opened(), (w) => w.ws.close()),
    '`closing`, no socket': async () =>
      having(
        world(options),
        async (w) => having(w, fail),
        (w) => w.ws.close(),
      ),
    '`closed`': async () => having(world({ ...options, maxRetries: 0 }), fail),
  };
  const options = { heartbeat: { ping: 'ping' }, backoff: () => 30_000 };
  const settled = (w: World) => having(w, () => w.settle());
  const opened = () => having(world(options), (w) => w.open());

  async function having(w: World, ...deeds: ((w: World) => unknown)[]): Promise<World> {
    for (const deed of deeds) await deed(w);
    w.news();
    return w;
  }

  function reconnected(w: World): string {
    const watched = w.page.listeners.size > 0;
    w.ws.reconnect();
    const news = w.news();
    expect(w.ws.state.status).toBe('connecting');
    if (!watched) return news.length === 0 && w.page.listeners.size === 1 ? 'begins anew' : 'odd';
    return news.length === 0 ? 'an attempt' : news.join() === 'close 4001 again' ? '`close` event 4001, then an attempt' : 'odd';
  }

  async function closedNow(w: World): Promise<string> {
    const before = w.ws.state;
    w.ws.close(3_000);
    if (w.ws.state === before) return 'nothing';
    const status = () => w.ws.state.status;
    await w.clock.advance(0);
    if (status() === 'closed') return w.news().join() === 'close 3000 final' ? 'ends at once' : 'odd';
    await w.clock.advance(1_999);
    expect(status()).toBe('closing');
    await w.clock.advance(1);
    return status() === 'closed' ? 'waits for the socket' : 'odd';
  }

  async function woken(w: World): Promise<string> {
    const before = w.ws.state;
    w.page.says('visible');
    const { state } = w.ws;
    if (w.sockets.at(-1)?.sent.length) return 'asks for a sign of life';
    if ('retryAt' in state && 'retryAt' in before) return state.retryAt < before.retryAt ? 'cuts the wait short' : 'odd';
    if (state !== before) return 'odd';
    if (state.status !== 'connecting') return 'nothing';
    await w.clock.advance(5_000); // it may hang
    w.page.says('visible');
    return w.ws.state === before ? 'nothing' : 'nothing, at first';
  }

  it('are reached by the test in every row, and in no other', () => {
    expect(table('States').map(([state]) => state)).toEqual(Object.keys(reach));
  });

  it.each(table('States'))('%s is %s; reconnect(): %s; close(): %s; waking up: %s', async (state = '', ready, ...said) => {
    const there = reach[state] as () => Promise<World>;
    const { ws } = await there();
    expect(`\`${ws.state.status}\``).toBe(state.split(',')[0]);
    expect(['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'][ws.readyState]).toBe(ready);
    expect([reconnected(await there()), await closedNow(await there()), await woken(await there())]).toEqual(said);
  });

  it('that end without a socket end with 1005 where no code is given', async () => {
    const w = await (reach['`waiting`'] as () => Promise<World>)();
    w.ws.close();
    await w.clock.advance(0);
    expect(w.news()).toEqual(['close 1005 final']);
  });
});

interface Way {
  readonly from: readonly string[];
  readonly label: string;
  readonly to: string;
}

/** The ways of the diagram; one that begins with a branch begins at the state above it. */
function ways(): Way[] {
  const found: Way[] = [];
  const above = new Map<number, string>();
  for (const line of codeBlock(path, 'States #1').code.split('\n')) {
    let rest = 0;
    const branch = /[├└]/.exec(line);
    let from = branch ? above.get(branch.index) : undefined;
    for (const [way, start = '', label = '', to = ''] of line.matchAll(/([^─►]*?) ?[├└]?─+ ?([^─►]+?) ?─+► (\w+)/g)) {
      const named = start.replaceAll(/[│\s]+/g, ' ').trim();
      if (named) above.set(line.indexOf(named), named);
      from = named || from;
      if (!from) throw new Error(`nothing is above the branch in: ${line}`);
      found.push({ from: everyOne(from), label, to });
      rest = line.indexOf(way) + way.length;
      above.set(rest - to.length, to);
      from = to;
    }
    if (line.trim() && rest === 0 && /[^│\s]/.test(line)) throw new Error(`no way is read in: ${line}`);
  }
  return found;
}

function everyOne(from: string): string[] {
  const all = [...new Set(Object.values(at).map(({ state }) => state.status as string))];
  const [, but] = /^any(?: but (.*))?$/.exec(from) ?? [];
  if (!from.startsWith('any')) return [from];
  return all.filter((state) => !but?.split(' and ').includes(state));
}

describe('the diagram', () => {
  /** What happens on a way, and what else is so. */
  const happenings: Record<string, { readonly events: EventName[]; readonly onLine?: false }> = {
    begins: { events: ['connect'] },
    opens: { events: ['opened'] },
    'is lost': { events: ['lost', 'suspect'] },
    'is lost for good': { events: ['refused'] },
    fails: { events: ['lost', 'suspect'] },
    'fails, the device says offline': { events: ['lost'], onLine: false },
    'fails for good': { events: ['refused'] },
    'time is up': { events: ['timer'] },
    'close()': { events: ['close'] },
    'the socket has closed · closeTimeout': { events: ['lost', 'timer'] },
    'reconnect()': { events: ['reconnect'] },
  };

  it.each(ways())('$from: $label, then $to', ({ from, label, to }) => {
    const { events: names = [], onLine = true } = happenings[label] ?? {};
    expect(names).not.toEqual([]);
    for (const model of Object.values(at).filter(({ state }) => from.includes(state.status)))
      for (const name of names) expect(transition(model, events[name], { ...moment, onLine }, rules)[0].state.status).toBe(to);
  });

  it('leaves out no way that there is', () => {
    const possible = new Set<string>();
    for (const model of Object.values(at))
      for (const event of Object.values(events))
        for (const onLine of [true, false]) {
          const { status } = transition(model, event, { ...moment, onLine }, rules)[0].state;
          if (status !== model.state.status) possible.add(`${model.state.status} ${status}`);
        }
    const drawn = ways().flatMap(({ from, to }) => from.filter((each) => each !== to).map((each) => `${each} ${to}`));
    expect([...new Set(drawn)].sort()).toEqual([...possible].sort());
  });
});

describe('an attempt', () => {
  const never = () => new Promise<never>(() => {});
  const timeouts: Record<string, () => Promise<string[]>> = {
    '`resolving`': async () => [await timedOut(world({}, never)), await timedOut(pair({ auth: never }))],
    '`opening`': async () => [await timedOut(world()), await timedOut(unreachable())],
    '`handshaking`': async () => {
      const w = world({ handshake: never });
      const p = unreachable();
      await w.open();
      await p.settle();
      p.socket.accept({ accept: () => ({ receive: () => {}, alive: () => {}, closed: () => {} }) });
      return [await timedOut(w), await timedOut(p)];
    },
  };
  const unreachable = () => {
    const p = pair();
    p.reachable = false;
    return p;
  };

  async function timedOut(face: World | Pair): Promise<string> {
    const seen: string[] = [];
    const target: EventTarget = 'ws' in face ? face.ws : face.client;
    target.addEventListener('error', (event) => void seen.push((event as ErrorEvent).error.code, (event as ErrorEvent).error.message));
    target.addEventListener('close', (event) => void seen.push(String((event as CloseEvent).code)));
    await face.clock.advance(9_999);
    expect(seen).toEqual([]);
    await face.clock.advance(1);
    return seen.join(' ');
  }

  it.each(table('One attempt'))('has one budget for all of it: %s (%s)', async (phase) => {
    const name = (phase ?? '').replaceAll('`', '');
    const code = name === 'handshaking' ? numberIn(text, /waits for the welcome (\d+)/) : 1006;
    const said = `CONNECT_TIMEOUT No connection within 10000 ms (still ${name})`;
    expect(await timeouts[phase ?? '']?.()).toEqual([`${said} 1006`, `${said} ${code}`]);
  });

  it('has the phases of the state, and no other', () => {
    const phases = { resolving: 0, opening: 0, handshaking: 0 } satisfies Record<Extract<State, { status: 'connecting' }>['phase'], 0>;
    expect(table('One attempt').map(([phase]) => phase)).toEqual(Object.keys(phases).map((phase) => `\`${phase}\``));
  });
});

it('the defaults that are named are the defaults', () => {
  const named = [...text.matchAll(/`(\w+)` \((\d+) s\)/g)].map(([, name, seconds]) => [name, Number(seconds) * 1_000]);
  const defaults = settle({});
  expect(named).toEqual(expect.arrayContaining(['connectTimeout', 'stableAfter', 'closeTimeout'].map((name) => [name, expect.anything()])));
  for (const [name, ms] of named) expect([name, defaults[name as keyof typeof defaults]]).toEqual([name, ms]);
});

it('what counts as a failure', async () => {
  const w = world();
  for (const [happens = '', attempt] of table('What counts as a failure')) {
    if (w.ws.state.status === 'offline') await w.clock.advance(29_000);
    await w.clock.advance(w.ws.state.status === 'connecting' ? 0 : 1_000);
    w.page.onLine = !happens.includes('says that it is offline');
    expect(w.ws.state.status).toBe('connecting');
    if (happens.includes('opens')) {
      await w.open();
      await w.clock.advance(numberIn(happens, /lost after ([\d.]+) s/) * 1_000);
      w.socket.closed();
    } else {
      expect(happens).toContain('fails');
      w.socket.fails();
    }
    expect([happens, w.ws.state]).toMatchObject([happens, { attempt: Number(attempt) }]);
  }
});

describe('how long it waits', () => {
  const rows = table('How long it waits');
  const range = (cell = '') => cell.split(' to ').map((seconds) => Number(seconds) * 1_000);

  it.each(rows)('attempt %s: %s; hidden or never opened: %s', (attempt = '', visible, patient) => {
    const first = Number.parseInt(attempt, 10);
    for (let n = first; n <= (attempt.includes('more') ? first + 20 : first); n++) {
      expect([backoff(n, 0), backoff(n, 1)]).toEqual(range(visible));
      expect([backoff(n, 0, true), backoff(n, 1, true)]).toEqual(range(patient));
    }
  });

  it('is told for every attempt', () => {
    expect(rows.map(([attempt]) => attempt)).toEqual(['1', '2', '3', '4', '5', '6', '7 and more']);
  });

  it.each([
    ['visible', true, false, 1],
    ['hidden', true, true, 2],
    ['and nothing ever opened', false, false, 2],
  ])('while the page is %s has the column that says so', async (_, opens, hidden, column) => {
    const w = world({ ...byDefault, random: () => 0 });
    if (opens) {
      await w.open();
      w.socket.closed();
    }
    w.page.hidden = hidden;
    for (;;) {
      await w.clock.advance(w.clock.next);
      await w.settle();
      if (w.ws.state.status === 'connecting') w.socket.fails();
      if (w.ws.state.status !== 'waiting') throw new Error(`it is ${w.ws.state.status}`);
      const { attempt, since, retryAt } = w.ws.state;
      if (attempt === 7) return expect(retryAt - since).toBe(range(rows[6]?.[column])[0]);
    }
  });

  /** 10,000 clients lose a server that is away for 5 s, and then takes 50 of those who come in a tenth of a second. */
  function storm(delay: (attempt: number, random: number) => number) {
    const clients = 10_000;
    const random = seeded(1);
    const tenths = new Map<number, number[]>();
    const come = (now: number, attempt: number) => {
      const tenth = Math.floor((now + delay(attempt, random())) / 100);
      const others = tenths.get(tenth);
      if (others) others.push(attempt);
      else tenths.set(tenth, [attempt]);
    };
    for (let i = 0; i < clients; i++) come(0, 1);
    let back = 0;
    let most = 0;
    let attempts = 0;
    let seconds = 0;
    for (let tenth = 0; back < clients; tenth++) {
      const arrivals = tenths.get(tenth) ?? [];
      const taken = tenth < 50 ? 0 : Math.min(arrivals.length, 50);
      attempts += arrivals.length;
      if (tenth >= 50) most = Math.max(most, arrivals.length);
      if (back < 0.99 * clients) seconds = tenth / 10;
      back += taken;
      for (const attempt of arrivals.slice(taken)) come((tenth + 1) * 100, attempt + 1);
    }
    return [most, attempts, seconds].map((n) => Math.round(n).toLocaleString('en'));
  }

  it.each(table('How long it waits', 2))('of a crowd: %s', (waits = '', most, attempts, back) => {
    const delays: Record<string, (attempt: number, random: number) => number> = {
      'as above': (attempt, random) => backoff(attempt, random),
      'as above, but always the longest': (attempt) => backoff(attempt, 1),
      'always 3 s': () => 3_000,
      'by chance, up to 2 s, however often': (_, random) => 2_000 * random,
    };
    expect(storm(delays[waits] ?? (() => Number.NaN))).toEqual([most, attempts, back?.replace(' s', '')]);
  });

  const least = { ...moment, random: 0 };
  const longest = { ...moment, random: 1 };
  const retryAfter = (code: number) => {
    const bye: Bye = { type: 'bye', code, reconnect: true, resume: false, retryAfter: 60_000 };
    return { ...events.lost, loss: closedBy(code), retryAfter: holdfast.classify(ending(code, { bye })).retryAfter };
  };
  const lostAfterWaking = (ms: number) => {
    const [woken] = transition(at.open, events.wake, moment, rules);
    return [least, longest].map((when) => delayOf(transition(woken, events.lost, { ...when, now: moment.now + ms }, rules)[1]));
  };
  const both = (event: Parameters<typeof transition>[1], from = at.open, more = {}) =>
    [least, longest].map((when) => delayOf(transition(from, event, { ...when, ...more }, rules)[1]));
  /** What the machine waits at random 0 and 1; the backoff of the test is 1 s. */
  const others: Record<string, () => (number | undefined)[]> = {
    'an open connection is lost within 5 s of waking up': () => {
      expect(lostAfterWaking(5_001)).toEqual([1_000, 1_000]);
      return lostAfterWaking(5_000);
    },
    'an attempt fails while the device says that it is offline': () => both(events.lost, at.opening, { onLine: false }),
    "the `Client`'s server says `retryAfter` in its bye": () => both(retryAfter(4_429)),
    'the same with 4100, it shuts down': () => both(retryAfter(4_100)),
    '`reconnect()`': () => both(events.reconnect, at.waiting),
  };
  const meant: Record<string, (number | undefined)[]> = {
    'up to 0.25 s': [0, 250],
    '30 s': [30_000, 30_000],
    'not less than that, up to a quarter more': [60_000, 75_000],
    'by chance, up to `retryAfter`': [0, 60_000],
    none: [undefined, undefined],
  };

  it.each(table('How long it waits', 3))('when %s: %s', (when = '', wait = '') => {
    expect(meant[wait]).toBeDefined();
    expect(others[when]?.()).toEqual(meant[wait]);
  });

  it('has no other waits than those of the tables', () => {
    expect(table('How long it waits', 3).map(([when]) => when)).toEqual(Object.keys(others));
  });

  /** How long the machine waits; undefined where it does not wait. */
  function delayOf(effects: readonly Effect[]): number | undefined {
    const timer = effects.find((effect) => effect.type === 'startTimer');
    return effects.some(({ type }) => type === 'openSocket') ? undefined : timer?.delay;
  }
});

const ending = (code: number, more: Partial<Parameters<typeof holdfast.classify>[0]> = {}) => ({
  ...{ kind: 'closed', code, welcomed: true, bye: undefined, suspects: 0 },
  ...more,
});

/** What a table of close codes says of every code. */
function told(rows: string[][]): Map<number, string | undefined> {
  const said = new Map<number, string | undefined>();
  const every = rows.find(([codes]) => codes === 'every other')?.[1];
  for (let code = 1_000; code < 5_000; code++) said.set(code, every);
  for (const [codes = '', then] of rows)
    for (const [, from = '', to = from] of codes.matchAll(/(\d+)(?: to (\d+))?/g))
      for (let code = Number(from); code <= Number(to); code++) said.set(code, then);
  return said;
}

describe('who may end it for good', () => {
  const refused = (error: unknown) =>
    world({
      createSocket: () => {
        throw error;
      },
    });
  const blocked = { readyState: 3, close: () => {} };
  /** The worlds that come to an end by each of them. */
  const ends: Record<string, () => (World | Pair)[] | Promise<(World | Pair)[]>> = {
    '`close()`': async () => [await then(world(), (w) => w.ws.close()), await then(pair(), (p) => p.client.close())],
    'the `signal`': () => {
      const signal = AbortSignal.abort();
      return [world({ signal }), pair({ signal })];
    },
    '`maxRetries` used up; with `reconnect: false` the first loss': async () => {
      const p = pair({ maxRetries: 0 });
      return [
        await then(world({ maxRetries: 0 }), fails),
        await then(world({ reconnect: false }), fails),
        await then(p, () => p.socket.cut()),
      ];
    },
    '`shouldReconnect` returned `false`': async () => {
      const p = pair({ shouldReconnect: () => false });
      return [await then(world({ shouldReconnect: () => false }), fails), await then(p, () => p.socket.cut())];
    },
    'the page: mixed content, Content Security Policy, a URL function that returns no address': () => [
      refused(new DOMException('insecure', 'SecurityError')),
      world({ createSocket: () => odd(blocked) }),
      world({}, () => 'https://['),
    ],
    'a close code, by the tables below': async () => [await then(pair(), (p) => p.peer.close(4_400))],
    "the `Client`'s server or `auth`: not authorized": () => [
      pair({ auth: () => Promise.reject(new UnauthorizedError()) }),
      pair({}, { authenticate: () => Promise.reject(new UnauthorizedError()) }),
    ],
    "the `Client`'s server: another connection took its place": async () => [await then(pair(), (p) => p.peer.close(4_409))],
  };
  const fails = (w: World) => w.socket.fails();

  async function then<F extends World | Pair>(face: F, deed: (face: F) => unknown): Promise<F> {
    await face.settle();
    void deed(face);
    return face;
  }

  it.each(table('Who may end it for good'))('%s: %s', async (who = '', cause) => {
    for (const face of (await ends[who]?.()) ?? []) {
      await face.clock.advance(2_000);
      await face.settle();
      const { state } = 'ws' in face ? face.ws : face.client;
      expect(state).toMatchObject({ status: 'closed', cause: cause?.replaceAll('`', '') });
    }
  });

  it('everybody is named, and so is every cause', () => {
    const causes = { user: 0, aborted: 0, exhausted: 0, refused: 0, unauthorized: 0, superseded: 0 } satisfies Record<
      Extract<State, { status: 'closed' }>['cause'],
      0
    >;
    const rows = table('Who may end it for good');
    expect(rows.map(([who]) => who)).toEqual(Object.keys(ends));
    expect([...new Set(rows.map(([, cause]) => cause?.replaceAll('`', '')))]).toEqual(Object.keys(causes));
  });

  it('the drop-in by close code: every code does what the table says', () => {
    const verdicts: Record<string, string> = { 'retry; the third in a row is final': 'suspect', retry: 'retry' };
    for (const [code, said] of told(table('The drop-in'))) expect([code, rawVerdict(code)]).toEqual([code, verdicts[said ?? '']]);
  });

  it('the drop-in: the third in a row is the last, unless another loss or a connection that lasted is in between', async () => {
    const lost = async (w: World, code: number, lasted = 0) => {
      await w.open();
      await w.clock.advance(lasted);
      w.socket.closed(code);
      await w.clock.advance(1_000);
    };
    const w = world();
    for (const code of [1_009, 1_002, 1_006, 1_009, 1_002]) await lost(w, code);
    await lost(w, 1_009, 5_000);
    await lost(w, 1_009);
    expect(w.ws.state.status).toBe('connecting');
    await lost(w, 1_009);
    expect(w.ws.state).toMatchObject({ status: 'closed', cause: 'refused', code: 1_009 });
  });

  /** What is done about an ending that comes once, and about the one after it. */
  function done(about: ReturnType<typeof ending>): string {
    const [first, second] = [0, 1].map((suspects) => holdfast.classify({ ...about, suspects }).verdict);
    if (first === 'reauthorize') return 'retry, with `auth` asked anew; the second in a row is final';
    if (first === 'suspect') return `retry; the ${second === 'suspect' ? 'third' : 'second'} in a row is final`;
    return first === 'retry' ? 'retry' : 'final';
  }

  it('the Client by close code: every code does what the table says', () => {
    for (const [code, said] of told(table('The Client'))) expect([code, done(ending(code))]).toEqual([code, said]);
  });

  it('the Client before a welcome: the table of the drop-in', () => {
    for (const [code, said] of told(table('The drop-in'))) expect([code, done(ending(code, { welcomed: false }))]).toEqual([code, said]);
  });

  it('the Client: what breaks the protocol is tried three times', () => {
    expect(done(ending(4_003, { kind: 'violation' }))).toBe('retry; the third in a row is final');
  });

  it.each(table('The Client', 2))('the Client after a bye with %s: %s', (said = '', then) => {
    const reconnect = said.includes('`reconnect: true`');
    const codes = said.startsWith('4401') ? [4_401] : [1_000, 1_001, 1_008, 4_100, 4_400, 4_409, 4_429, 4_600, 4_800];
    for (const code of codes)
      for (const [welcomed, close] of [
        [true, code],
        [false, code],
        [true, 4_403],
        [false, 1_009],
      ] as const)
        expect([code, done(ending(close, { welcomed, bye: { type: 'bye', code, reconnect, resume: false } }))]).toEqual([code, then]);
  });

  it('the Client that is refused for its credentials asks for fresh ones, once', async () => {
    const asked = vi.fn();
    const p = pair({ auth: asked }, { authenticate: () => Promise.reject(new UnauthorizedError()) });
    await p.clock.advance(60_000);
    expect([asked.mock.calls.length, p.client.state]).toMatchObject([2, { status: 'closed', cause: 'unauthorized', code: 4_401 }]);
  });
});

describe('what becomes of what was written', () => {
  it('the session is over after the codes that are named, and after no other', () => {
    const [, list = ''] = /with these close codes: ([\d, to]+)\. A bye wins/.exec(text) ?? [];
    const said = told([[list, 'over']]);
    expect(said.get(1_002)).toBe('over');
    for (const [code, what] of said) {
      const kind = code === 4_003 ? 'violation' : 'closed';
      expect([code, holdfast.classify(ending(code, { kind })).forget]).toEqual([code, what === 'over']);
      expect([code, holdfast.classify(ending(code, { kind, welcomed: false })).forget]).toEqual([code, false]);
    }
  });

  it('a server waits as long for its clients as is said', async () => {
    const seconds = numberIn(text, /(\d+) s after the server has noticed the loss/);
    const p = pair();
    await p.settle();
    p.client.send('note');
    await p.settle();
    p.reachable = false;
    p.socket.cut();
    await p.clock.advance(seconds * 1_000 - 1);
    expect(p.host.clients).toHaveLength(1);
    await p.clock.advance(1);
    expect(p.host.clients).toEqual([]);
  });

  /** The link dies, something is done that the server does not hear of, and its session is given up. */
  async function lose(p: Pair, meanwhile: () => unknown = () => {}): Promise<void> {
    await p.settle();
    p.socket.vanish();
    meanwhile();
    p.client.flush();
    p.peer.close(4_422);
    await p.clock.advance(21_000);
    await p.settle();
    expect(p.client.state).toMatchObject({ status: 'open', resumed: false });
  }

  /** A server that notes what it handles; a stream that stops halfway the first time, with cursors or without. */
  function noting(more: Parameters<typeof pair>[0] = {}, channels: MemoryBrokerOptions = {}) {
    const handled: unknown[] = [];
    const halfway = async (item: number, times: number) => {
      if (item === 3 && times === 1) await new Promise(() => {});
    };
    let times = 0;
    const methods = {
      add: (params: unknown) => handled.push(params),
      async take(_: unknown, { upload: items }: { readonly upload: AsyncIterable<unknown> }) {
        for await (const item of items) handled.push(item);
      },
      async *items(_: unknown, { cursor = 0 }: { readonly cursor?: unknown }) {
        times++;
        for (let i = Number(cursor) + 1; i <= 4; i++) {
          await halfway(i, times);
          yield new StreamItem(i, i);
        }
      },
      async *bare() {
        times++;
        for (let i = 1; i <= 4; i++) {
          await halfway(i, times);
          yield i;
        }
      },
    };
    const events = { note: (data: unknown) => void handled.push(data) };
    const p = pair(more, { handlers: { methods, events }, broker: new MemoryBroker(channels) });
    return { p, handled };
  }

  const items = async (p: Pair, method: string) => {
    const all: unknown[] = [];
    try {
      for await (const item of stream(p.client, method)) all.push(item);
    } catch (error) {
      all.push((error as Error).name);
    }
    return all;
  };

  /** The same for two channels of which one keeps nothing. */
  async function channelsMissed() {
    const { p } = noting({}, { history: (channel) => (channel === 'kept' ? {} : false) });
    const seen: unknown[] = [];
    for (const name of ['kept', 'bare']) {
      const channel = p.client.channel(name);
      channel.addEventListener('gap', () => seen.push(`gap on ${name}`));
      void channel.subscribe((data) => seen.push(data));
    }
    await p.settle();
    await lose(p, () => {
      for (const name of ['kept', 'bare']) p.host.publish(name, `on ${name}`);
    });
    return seen;
  }

  const becomes: Record<string, () => Promise<string>> = {
    'what waits in the outbox': async () => {
      const { p, handled } = noting();
      await p.settle();
      p.socket.vanish();
      p.peer.close(4_422);
      await p.clock.advance(20_000);
      expect(p.client.state.status).toBe('waiting');
      p.client.send('note', 'waits');
      await p.clock.advance(1_000);
      await p.settle();
      return handled.join() === 'waits' ? 'written, as ever' : 'odd';
    },
    'events and publishes without an acknowledgement': async () => {
      const { p, handled } = noting();
      await lose(p, () => {
        p.client.send('note', 1);
        p.client.send('note', 2);
        p.client.channel('room').publish('x');
        p.client.flush();
        p.client.send('note', 3, { priority: 9 });
      });
      expect(p.frames().filter(({ type }) => type === 'publish')).toHaveLength(1);
      return handled.join() === '1,2,3' ? 'written again, first and in old order' : 'odd';
    },
    "the same with `unacknowledged: 'drop'`": async () => {
      const { p, handled } = noting({ unacknowledged: 'drop' });
      await lose(p, () => [p.client.send('note', 1), p.client.channel('room').publish('x')]);
      expect(handled).toEqual([]);
      const drops = p.log.filter((line) => line.startsWith('drop'));
      return drops.join() === 'drop event note session-lost,drop publish room session-lost' ? 'a `drop` event each, `session-lost`' : 'odd';
    },
    'one that was on its way in five that were lost, and alone in the last three': async () => {
      let kills = 0;
      const poison = () => {
        kills++;
        dies(p);
      };
      const p: Pair = pair({}, { handlers: { events: { poison } } });
      p.client.send('poison');
      for (let i = 0; i < 60; i++) {
        await p.settle();
        await p.clock.advance(1_000);
      }
      expect([kills, p.client.state.status]).toEqual([5, 'open']);
      return p.log.includes('drop event poison poison') ? 'a `drop` event, `poison`' : 'odd';
    },
    'calls that were written': async () => {
      const { p, handled } = noting();
      let error: unknown;
      await lose(p, () => p.client.call('add', 1).catch((reason) => (error = reason)));
      expect([error, handled]).toEqual([expect.objectContaining({ maybeExecuted: true }), []]);
      return `rejected: \`${(error as Error).name}\``;
    },
    'the same with `idempotent`': async () => {
      const { p, handled } = noting();
      const answers: Promise<unknown>[] = [];
      await lose(p, () => answers.push(p.client.call('add', 'lost', { idempotent: true })));
      // And one that had arrived.
      answers.push(p.client.call('add', 'arrived', { idempotent: true }));
      p.client.flush();
      const { socket } = p;
      const { deliver } = socket;
      socket.deliver = () => {}; // the answer is lost
      await p.settle();
      socket.deliver = deliver;
      await lose(p);
      expect(await Promise.all(answers)).toEqual([1, 2]);
      return handled.join() === 'lost,arrived' ? 'asked again, and executed once' : 'odd';
    },
    'streams whose items have a `cursor`': async () => {
      const { p } = noting();
      await p.settle();
      const all = items(p, 'items');
      await p.settle();
      await lose(p);
      return (await all).join() === '1,2,3,4' ? 'asked again, from the last one' : 'odd';
    },
    'other streams': async () => {
      const { p } = noting();
      await p.settle();
      const all = items(p, 'bare');
      await p.settle();
      await lose(p);
      const [one, two, name] = await all;
      expect([one, two]).toEqual([1, 2]);
      return `an error in the loop: \`${name}\``;
    },
    uploads: async () => {
      const { p, handled } = noting();
      async function* source() {
        yield 'an item';
        await new Promise(() => {});
      }
      await p.settle();
      const done = upload(p.client, 'take', null, source()).catch(({ name }: Error) => name);
      await lose(p);
      expect(handled).toEqual(['an item']);
      return `rejected: \`${await done}\``;
    },
    presence: async () => {
      const { p } = noting();
      const people = presence(p.client.channel('room'), { data: 'ida' });
      await people.ready;
      const { me } = people;
      await lose(p);
      const there = [...people.members.values()];
      expect(there).toEqual([{ id: people.me, data: 'ida' }]);
      return people.me === me ? 'odd' : 'there again, as another member';
    },
    'calls by the server': async () => {
      const { p } = noting();
      let aborted: AbortSignal | undefined;
      p.client.handle('ask', (_, { signal }) => {
        aborted = signal;
        return new Promise(() => {});
      });
      await p.settle();
      const error = p.peer.call('ask').catch(({ name }) => name);
      await p.settle();
      await lose(p);
      expect(await error).toBe('SessionLostError');
      return aborted?.aborted ? 'aborted' : 'odd';
    },
    channels: async () => {
      const seen = await channelsMissed();
      return seen.sort().join() === 'gap on bare,on kept' ? 'what was missed, from their history, or a `gap`' : 'odd';
    },
  };

  it.each(table('What becomes of what was written'))('of a session that is lost: %s: %s', async (what = '', then) => {
    expect(await becomes[what]?.()).toBe(then);
  });

  it('is told of everything that there is', () => {
    expect(table('What becomes of what was written').map(([what]) => what)).toEqual(Object.keys(becomes));
  });

  it('of a session that goes on: everything, on the next connection', async () => {
    const { p, handled } = noting();
    await p.settle();
    const opens: boolean[] = [];
    p.client.addEventListener('open', ({ resumed }) => void opens.push(resumed));
    p.client.send('note', 0); // a client that never said a word is not waited for as long
    await p.settle();
    p.socket.vanish();
    p.client.send('note', 1);
    const sum = p.client.call('add', 2);
    const all = items(p, 'items');
    p.client.flush();
    await p.clock.advance(5_000);
    expect(handled).toEqual([0]);
    await p.clock.advance(1_000);
    await p.settle();
    expect([handled, await sum, opens, p.client.state]).toMatchObject([[0, 1, 2], 3, [true], { resumed: true }]);
    p.client.close();
    expect((await all).at(-1)).toBe('ClosedError'); // it had stopped halfway
  });
});

describe('heartbeats', () => {
  /** Steps of half a second until it is so; how many seconds that took. */
  async function seconds({ clock, settle }: World | Pair, isSo: () => boolean): Promise<number> {
    const start = clock.now();
    for (await settle(); !isSo(); await settle()) {
      if (clock.now() - start > 60_000) throw new Error('not within a minute');
      await clock.advance(500);
    }
    return (clock.now() - start) / 1_000;
  }

  async function dropIn() {
    const w = world({ heartbeat: { ping: 'ping' } });
    await w.open();
    const { socket } = w;
    const says = () => w.ws.send('something');
    return { face: w, says, asks: () => socket.sent.includes('ping'), replaced: () => w.log.includes('close 4000 again') };
  }

  /** A client whose server is not heard any more. */
  async function client() {
    const p = pair();
    await p.settle();
    const { socket } = p;
    socket.vanish();
    return {
      face: p,
      says: () => void p.client.send('note', 'something'),
      asks: () => p.frames(socket).some(({ type }) => type === 'ping'),
      replaced: () => p.log.includes('close 4000 again'),
    };
  }

  /** What is measured on a link on which nothing is heard. */
  const measures: Record<string, (make: typeof dropIn | typeof client) => Promise<number>> = {
    'asks after a silence of': async (make) => {
      const { face, asks } = await make();
      return seconds(face, asks);
    },
    'waits for an answer': async (make) => {
      const { face, asks, replaced } = await make();
      await seconds(face, asks);
      return seconds(face, replaced);
    },
    'the same when in doubt': async (make) => {
      const { face, replaced } = await make();
      face.page.says('visible');
      return seconds(face, replaced);
    },
    'a dead link is replaced after': async (make) => {
      const { face, replaced } = await make();
      return seconds(face, replaced);
    },
    'the same after waking up': async (make) => {
      const { face, replaced } = await make();
      face.page.says('online');
      return seconds(face, replaced);
    },
    'the same while something small is not acknowledged': async (make) => {
      const { face, says, replaced } = await make();
      says();
      return seconds(face, replaced);
    },
  };

  it.each(table('Heartbeats'))('a silent link: it %s %s; the Client: %s', async (what = '', ...said) => {
    expect([`${await measures[what]?.(dropIn)} s`, `${await measures[what]?.(client)} s`]).toEqual(said);
  });

  it('all of it is measured', () => expect(table('Heartbeats').map(([what]) => what)).toEqual(Object.keys(measures)));

  it('without one, an open link is believed for as long as nothing is heard', async () => {
    const w = world();
    await w.open();
    w.page.says('visible');
    await w.clock.advance(86_400_000);
    expect(w.ws.state.status).toBe('open');
  });

  it('where timers run once a minute, a dead link is gone in the minute that is named', async () => {
    const minutes =
      ['first', 'second', 'third', 'fourth'].indexOf(
        /in a tab where timers run once a minute that is the (\w+) minute/.exec(text)?.[1] ?? '',
      ) + 1;
    const { face, replaced } = await dropIn();
    for (let minute = 1; minute <= minutes; minute++) {
      expect(replaced()).toBe(false);
      await face.clock.sleep(60_000);
    }
    expect(replaced()).toBe(true);
  });

  it('a timer that is later than is said asks again, and one that is not judges', async () => {
    const late = numberIn(text, /\*\*Timers that come late\*\* \(more than (\d+) s/) * 1_000;
    for (const [ms, asked] of [
      [late, 1],
      [late + 1, 2],
    ] as const) {
      const { face } = await dropIn();
      await face.clock.advance(15_000);
      await face.clock.sleep(5_000 + ms);
      expect((face as World).sockets[0]?.sent).toHaveLength(asked);
    }
  });
});

describe('waking up', () => {
  const heard = table('Waking up').flatMap(([what = '', signal]) => what.split(', ').map((each) => [each, signal]));

  it.each(heard)('the page hears %s: %s', (what = '', signal) => {
    const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    const global = new EventTarget();
    const connection = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', { connection });
    for (const method of ['addEventListener', 'removeEventListener'] as const) vi.stubGlobal(method, global[method].bind(global));
    onTestFinished(() => void vi.unstubAllGlobals());
    const signals: LifecycleSignal[] = [];
    onTestFinished(browserLifecycle.watch((each) => void signals.push(each)));
    const type = what.includes('navigator.connection') ? 'change' : (/^`(\w+)`/.exec(what)?.[1] ?? '');
    const event = Object.assign(new Event(type), { persisted: what.includes('back-forward cache') });
    for (const target of [global, page, connection]) target.dispatchEvent(event);
    expect(signals).toEqual([signal]);
  });

  it('cuts a wait short as the page says: how soon, and how often', async () => {
    const soon = numberIn(text, /the next attempt comes within ([\d.]+) s/) * 1_000;
    const seldom = numberIn(text, /At most once in (\d+) s/) * 1_000;
    for (const random of [0, 0.999_999]) {
      const w = world({ backoff: () => 30_000, random: () => random });
      const retryIn = () => ('retryAt' in w.ws.state ? w.ws.state.retryAt - w.clock.wall() : Number.NaN);
      await w.settle();
      w.socket.fails();
      w.page.says('online');
      expect(retryIn()).toBeCloseTo(soon * random, 0);
      await w.clock.advance(w.clock.next);
      const forced = w.clock.now() - soon * random;
      w.socket.fails();
      w.page.says('online');
      expect(w.clock.now() + retryIn()).toBeCloseTo(forced + seldom + soon * random, 0);
      expect(w.ws.state).toMatchObject({ status: 'waiting', attempt: 2 });
    }
  });

  it('thawed ends what is open with the words of the page', async () => {
    const w = world();
    await w.open();
    w.page.says('thawed');
    const { code, reason } = w.events.find(({ type }) => type === 'close') as unknown as CloseEvent;
    expect(text).toContain(`(${code}, "${reason}")`);
  });

  it('offline is a reason to doubt what is open, and nothing more', async () => {
    const w = world({ heartbeat: { ping: 'ping' }, backoff: () => 30_000 });
    await w.open();
    w.page.says('offline');
    expect(w.socket.sent).toEqual(['ping']);
    w.socket.closed();
    const { state } = w.ws;
    w.page.says('offline');
    expect(w.ws.state).toBe(state);
  });
});

everyBlockIsRun(path, {
  'Change it #1': async (block) => {
    const { echo, url } = await serve();
    const { socket } = await run<{ socket: ReconnectingWebSocket }>(block, { replace: { 'wss://example.com/chat': url() } });
    await next(socket, 'open');
    echo.drop();
    const { state } = await next(socket, 'statechange', ({ state }) => state.status === 'waiting');
    const { attempt, since, retryAt } = state as Extract<State, { status: 'waiting' }>;
    expect(attempt).toBe(1);
    expect(retryAt - since).toBeGreaterThanOrEqual(2_500);
    expect(retryAt - since).toBeLessThanOrEqual(5_000);
  },
  'Change it #2': async (block) => {
    const { echo, url } = await serve();
    const showLogin = vi.fn();
    const start = async (path: string) => {
      const options = { replace: { 'wss://example.com/chat': url(path) }, globals: { showLogin } };
      return (await run<{ socket: ReconnectingWebSocket }>(block, options)).socket;
    };
    const stopped = await start('/close/4403');
    expect(await final(stopped)).toMatchObject({ code: 4_403 });
    expect(showLogin).not.toHaveBeenCalled();
    const loggedOut = await start('/close/4401');
    await final(loggedOut);
    expect(loggedOut.state).toMatchObject({ status: 'closed', cause: 'refused', code: 4_401 });
    expect(showLogin).toHaveBeenCalledTimes(1);
    const others = await start('/close/4404');
    expect(await next(others, 'close')).toMatchObject({ code: 4_404, willReconnect: true });
    expect(echo.upgrades).toBe(3);
  },
  'Change it #3': async (block) => {
    const host = await startSocketHost((wss: WebSocketServer) => void wss.on('connection', (ws) => ws.close()));
    const button = Object.assign(new EventTarget(), { hidden: true });
    const replace = { 'wss://example.com/chat': host.origin, 'maxRetries: 5': 'maxRetries: 5, backoff: () => 0' };
    const { socket } = await run<{ socket: ReconnectingWebSocket }>(block, { replace, globals: { button } });
    await final(socket);
    expect([host.accepted, button.hidden]).toEqual([6, false]);
    const again = final(socket);
    button.dispatchEvent(new Event('click'));
    expect(button.hidden).toBe(true);
    await again;
    expect([host.accepted, button.hidden]).toEqual([12, false]);
    await host.stop();
  },
});
