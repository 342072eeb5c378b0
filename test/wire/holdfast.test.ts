import { describe, expect, it } from 'vitest';
import { HoldfastError, ProtocolError, UnauthorizedError } from '../../src/errors.ts';
import { Batch } from '../../src/wire/batch.ts';
import type { Bye } from '../../src/wire/frames.ts';
import { holdfast, SUBPROTOCOL } from '../../src/wire/holdfast.ts';
import type { Ending, EndingRuling, Opened, Opening } from '../../src/wire/protocol.ts';
import { pair } from '../support/link.ts';

const WELCOME = {
  type: 'welcome',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  resumed: false,
  heartbeat: { interval: 15_000, timeout: 5_000 },
  limits: { message: 1_000, window: 256 },
};
/** That of a server with sessions. */
const RESUMABLE = { ...WELCOME, features: ['resume'], session: 's', key: 'k' };
const BYE: Bye = { type: 'bye', code: 4600, reconnect: true, resume: false };

/** Opens against a server that says these messages, one after the other; then the connection ends. */
async function opening(messages: readonly unknown[], over: Partial<Opening> = {}) {
  if (!holdfast.open) throw new Error('the protocol has no opening');
  const sent: unknown[] = [];
  const byes: Bye[] = [];
  const left = messages.map((message) => (typeof message === 'object' && !ArrayBuffer.isView(message) ? JSON.stringify(message) : message));
  const socket = {
    protocol: SUBPROTOCOL,
    send: (message: unknown) => void sent.push(message),
    receive: async () => {
      if (left.length === 0) throw new HoldfastError('HANDSHAKE_FAILED', 'over');
      return left.shift();
    },
  };
  const about: Opening = {
    auth: undefined,
    attempt: 0,
    cause: undefined,
    limit: 262_144,
    subscriptions: () => [],
    resume: () => undefined,
    bye: (frame) => void byes.push(frame),
    ...over,
  };
  let opened: Opened | undefined;
  let error: unknown;
  try {
    opened = await holdfast.open(socket, about);
  } catch (thrown) {
    error = thrown;
  }
  return { opened, error, sent, byes, left };
}

describe('hello', () => {
  const helloOf = async (over: Partial<Opening>) => {
    const { sent } = await opening([WELCOME], over);
    expect(sent).toHaveLength(1);
    return JSON.parse(String(sent[0])) as unknown;
  };

  it('says what must be said, and nothing else', async () => {
    expect(await helloOf({ limit: 4_096 })).toEqual({
      type: 'hello',
      version: 1,
      features: ['calls', 'channels', 'binary', 'resume', 'recovery', 'streams', 'uploads', 'presence', 'refresh'],
      limits: { message: 4_096, window: 1_024 },
      attempt: 0,
    });
  });

  it('asks for the session to go on with', async () => {
    const resume = { session: 's', key: 'k', generation: 2, received: 17 };
    expect(await helloOf({ resume: () => resume })).toMatchObject({ resume });
  });

  it('carries credentials, channels, and how the connection before ended', async () => {
    const subscriptions = [{ channel: 'a' }, { channel: 'b', params: { since: 3 } }];
    const hello = await helloOf({ auth: { token: 't' }, attempt: 3, cause: 'closed 1006', subscriptions: () => subscriptions });
    expect(hello).toMatchObject({ auth: { token: 't' }, attempt: 3, cause: 'closed 1006', subscriptions });
  });

  it.each([null, '', 0, false])('carries credentials that look like none: %j', async (auth) => {
    expect(await helloOf({ auth })).toMatchObject({ auth });
  });
});

describe('the opening', () => {
  it('is over with the welcome, which says what the server offers and takes', async () => {
    const { opened, left, byes } = await opening([WELCOME, { type: 'ping' }]);
    expect(opened).toEqual({
      capabilities: {
        calls: true,
        serverCalls: true,
        cancel: true,
        channels: true,
        binary: true,
        streams: false,
        resume: false,
        recovery: false,
        uploads: false,
        presence: false,
      },
      limit: 1_000,
      heartbeat: { interval: 15_000, timeout: 5_000 },
      subscriptions: [],
      resumed: false,
      idempotency: 0,
    });
    expect([left.length, byes]).toEqual([1, []]);
  });

  it.each([
    ['calls', { calls: true, serverCalls: true, cancel: true }],
    ['channels', { channels: true }],
    ['binary', { binary: true }],
    ['resume', { resume: true }],
    ['recovery', { recovery: true }],
    ['streams', {}], // of what calls would answer
    ['uploads', {}], // to what calls would ask
    ['presence', {}], // on what channels there would be
    ['constructor', {}],
  ])('with the feature %s alone has that and no more', async (feature, has) => {
    const nothing = Object.fromEntries(Object.keys(holdfast.capabilities).map((name) => [name, false]));
    const { opened } = await opening([{ ...WELCOME, features: [feature], session: 's', key: 'k' }]);
    expect(opened?.capabilities).toEqual({ ...nothing, ...has });
  });

  it.each([[undefined], [null], [[]]])('without results has no subscriptions: %j', async (subscriptions) => {
    expect((await opening([{ ...WELCOME, subscriptions }])).opened?.subscriptions).toEqual([]);
  });

  it.each([
    ['calls', 'streams'],
    ['calls', 'uploads'],
    ['channels', 'presence'],
  ])('with the features %s and %s has both', async (...features) => {
    const { opened } = await opening([{ ...WELCOME, features }]);
    expect(features.map((feature) => opened?.capabilities[feature as keyof typeof opened.capabilities])).toEqual([true, true]);
  });

  it('hands on for how long the server remembers what it did', async () => {
    expect((await opening([{ ...WELCOME, idempotency: 300_000 }])).opened?.idempotency).toBe(300_000);
  });

  it('with the feature resume hands on the session that begins', async () => {
    const { opened } = await opening([{ ...RESUMABLE, error: { code: 'expired' } }]);
    expect(opened).toMatchObject({ resumed: false });
    expect(opened?.session).toEqual({ session: 's', key: 'k', received: 0, window: 256, error: { code: 'expired' } });
  });

  it('with the feature resume hands on how much the server has of the session that goes on', async () => {
    const { opened } = await opening([{ ...RESUMABLE, resumed: true, received: 17 }]);
    expect(opened).toMatchObject({ resumed: true });
    expect(opened?.session).toEqual({ session: 's', key: 'k', received: 17, window: 256, error: undefined });
  });

  it('without the feature resume has no session, whatever else the welcome says', async () => {
    const { opened } = await opening([{ ...RESUMABLE, features: WELCOME.features }]);
    expect(opened?.session).toBeUndefined();
  });

  it('hands on what became of the channels', async () => {
    const subscriptions = [
      { channel: 'a', recovered: false },
      { channel: 'b', error: { code: 'NOT_FOUND' } },
    ];
    expect((await opening([{ ...WELCOME, subscriptions }])).opened?.subscriptions).toEqual(subscriptions);
  });

  it('waits on for the close after a goodbye, and tells of it', async () => {
    const { error, byes } = await opening([BYE]);
    expect(byes).toEqual([BYE]);
    expect(error).toMatchObject({ code: 'HANDSHAKE_FAILED' });
  });

  it('ignores what it does not know', async () => {
    expect((await opening([{ type: 'later' }, [{ type: 'news' }, { type: 'more' }], WELCOME])).opened?.limit).toBe(1_000);
  });

  it.each<[string, unknown]>([
    ['a text that is not JSON', 'hello!'],
    ['an empty text', ''],
    ['what is neither text nor bytes', 1],
    ['bytes', new Uint8Array([1, 2, 3])],
    ['an empty batch', '[]'],
    ['a ping', { type: 'ping' }],
    ['an event', { type: 'event', name: 'n', data: 1 }],
    ['an event in bytes', new Uint8Array([...new TextEncoder().encode('{"type":"event","name":"n"}'), 0xff, 1])],
    ['a welcome without limits', { ...WELCOME, limits: undefined }],
    ['a welcome with a limit of 0', { ...WELCOME, limits: { message: 0, window: 1 } }],
    ['a welcome without features', { ...WELCOME, features: 'calls' }],
    ['a welcome of version 0', { ...WELCOME, version: 0 }],
    ['a welcome of a higher version', { ...WELCOME, version: 2 }],
    ['a welcome with a bad result', { ...WELCOME, subscriptions: [{ channel: 1 }] }],
    ['a welcome with sessions, and without a name for this one', { ...RESUMABLE, session: null }],
    ['a welcome with sessions, and without a key for this one', { ...RESUMABLE, key: undefined }],
    ['a welcome that goes on with a session, and does not say how much it has of it', { ...RESUMABLE, resumed: true }],
    ['a welcome with a number', { ...WELCOME, seq: 1 }],
    ['a goodbye that is none', { type: 'bye' }],
  ])('is a violation at %s', async (_, message) => {
    const { error, opened } = await opening([message]);
    expect(opened).toBeUndefined();
    expect(error).toBeInstanceOf(ProtocolError);
  });
});

describe('the opening between a client and a server', () => {
  it('delivers what shares a message with the welcome', async () => {
    const p = pair({}, { onconnection: (client) => void client.send('first', 1) });
    const events: unknown[] = [];
    p.client.on('first', (data) => void events.push(data));
    await p.settle();
    expect(p.client.state.status).toBe('open');
    expect(events).toEqual([1]);
  });

  it('succeeds with more channels than fit into a hello: the others are asked for by frame', async () => {
    const p = pair();
    const channels = Array.from({ length: 700 }, (_, i) => p.client.channel(`${'x'.repeat(100)} ${i}`));
    for (const channel of channels) channel.subscribe(() => {});
    await p.settle();
    expect(p.socket.serverClose).toBeUndefined();
    expect(channels.filter(({ state }) => state.status === 'subscribed')).toHaveLength(700);
    expect(String(p.socket.sent[0]).length).toBeLessThanOrEqual(65_536);
  });

  it('succeeds where the answer would be more than the client takes', async () => {
    const p = pair({ messageLimit: 1_024 });
    const channels = Array.from({ length: 60 }, (_, i) => p.client.channel(`room ${i}`));
    for (const channel of channels) channel.subscribe(() => {});
    await p.settle();
    expect(p.client.state.status).toBe('open');
    expect(channels.filter(({ state }) => state.status === 'subscribed')).toHaveLength(60);
  });
});

describe('what a close means', () => {
  const ending = (code: number, over: Partial<Ending> = {}): EndingRuling['verdict'] =>
    holdfast.classify({ kind: 'closed', code, welcomed: true, bye: undefined, suspects: 0, ...over }).verdict;
  const bye = (code: number, reconnect: boolean): Bye => ({ ...BYE, code, reconnect });

  describe('after the welcome, by the table', () => {
    it.each([1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014])('%d is normal: again', (code) => expect(ending(code)).toBe('retry'));

    it.each([1002, 1003, 1007, 1008, 1010, 1015])('%d is tried once more, and then final', (code) => {
      expect([ending(code), ending(code, { suspects: 1 }), ending(code, { suspects: 2 })]).toEqual(['suspect', 'refused', 'refused']);
    });

    it.each([1009, 4413])('%d is too large: again', (code) => expect(ending(code, { suspects: 2 })).toBe('retry'));

    it.each([4000, 4001, 4002, 4100, 4408, 4412, 4422, 4429])('%d: again', (code) => expect(ending(code)).toBe('retry'));

    it.each([4400, 4403, 4404, 4406, 4410])('%d is final', (code) => expect(ending(code)).toBe('refused'));

    it('4003, which the client says itself, is tried three times', () => {
      expect(ending(4003, { kind: 'violation' })).toBe('suspect');
      expect(ending(4003, { kind: 'violation', suspects: 1, welcomed: false })).toBe('suspect');
    });

    it('4401 is tried once with a fresh token', () => {
      expect(ending(4401)).toBe('reauthorize');
    });

    it('4409 is superseded', () => expect(ending(4409)).toBe('superseded'));

    it.each([4600, 4700, 4799])('%d, by the application: again', (code) => expect(ending(code)).toBe('retry'));
    it.each([4800, 4900, 4999])('%d, by the application, is final', (code) => expect(ending(code)).toBe('refused'));
    it.each([0, 1004, 1016, 2999, 3000, 3999, 4004, 4099, 4411, 4430, 4500, 4599, 5000])('%d is unknown: again', (code) =>
      expect(ending(code)).toBe('retry'),
    );
  });

  describe('for the session', () => {
    const forgets = (code: number, over: Partial<Ending> = {}) =>
      holdfast.classify({ kind: 'closed', code, welcomed: true, bye: undefined, suspects: 0, ...over }).forget;

    it.each([1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 1014, 4000, 4001, 4002, 4100, 4401, 4408, 4413, 4429, 4600, 4799, 3000])(
      'after %d it goes on',
      (code) => expect(forgets(code)).toBe(false),
    );

    it.each([1002, 1003, 1007, 1008, 1010, 1015, 4003, 4400, 4403, 4404, 4406, 4409, 4410, 4412, 4422, 4800, 4999])(
      'after %d it is over; before the welcome nobody knows who said so',
      (code) => expect([forgets(code), forgets(code, { welcomed: false })]).toEqual([true, false]),
    );

    it('a goodbye is believed, before the welcome too', () => {
      for (const welcomed of [true, false]) {
        expect(forgets(1006, { welcomed, bye: { ...BYE, resume: false } })).toBe(true);
        expect(forgets(4400, { welcomed, bye: { ...BYE, resume: true } })).toBe(false);
      }
    });

    it('a number that is missing here ends it, and the client comes back without it, however often', () => {
      expect(ending(4412, { kind: 'violation', suspects: 2 })).toBe('retry');
      expect(forgets(4412, { kind: 'violation' })).toBe(true);
    });
  });

  describe('with a goodbye', () => {
    it.each([1000, 1006, 1008, 4400, 4403, 4800])('that says come back, %d is no end', (code) =>
      expect(ending(code, { bye: bye(code, true), suspects: 2 })).toBe('retry'),
    );

    it.each([1000, 1001, 1006, 1011, 4100, 4429, 4600])('that says stay away, %d is final', (code) =>
      expect(ending(code, { bye: bye(code, false) })).toBe('refused'),
    );

    it('its code counts, not the one of the close', () => {
      expect(ending(1006, { bye: bye(4409, false) })).toBe('superseded');
      expect(ending(4409, { bye: bye(4600, true) })).toBe('retry');
      expect(ending(1006, { bye: bye(4401, true) })).toBe('reauthorize');
      expect(ending(1006, { bye: bye(4401, false) })).toBe('unauthorized');
      expect(ending(4401, { bye: bye(4600, true) })).toBe('retry');
    });

    it('counts before the welcome too', () => {
      expect(ending(4403, { welcomed: false, bye: bye(4403, false) })).toBe('refused');
      expect(ending(1002, { welcomed: false, bye: bye(1002, true) })).toBe('retry');
      expect(ending(4401, { welcomed: false, bye: bye(4401, true) })).toBe('reauthorize');
    });

    it('counts more than what came after it', () => expect(ending(4003, { kind: 'violation', bye: bye(4100, true) })).toBe('retry'));
  });

  it('with a time to stay away, that is kept; a server that is going away spreads its clients over it', () => {
    const ruling = (code: number, retryAfter?: number) =>
      holdfast.classify({
        kind: 'closed',
        code,
        welcomed: true,
        bye: { ...bye(code, true), ...(retryAfter && { retryAfter }) },
        suspects: 0,
      });
    expect(ruling(4429, 500).retryAfter).toEqual({ ms: 500, spread: false });
    expect(ruling(4100, 500).retryAfter).toEqual({ ms: 500, spread: true });
    expect(ruling(4100).retryAfter).toBeUndefined();
  });

  it('with a time to stay away that is longer than ten minutes, is asked again after ten', () => {
    const ruling = holdfast.classify({
      kind: 'closed',
      code: 4429,
      welcomed: true,
      bye: { ...bye(4429, true), retryAfter: 2 ** 53 },
      suspects: 0,
    });
    expect(ruling.retryAfter).toEqual({ ms: 600_000, spread: false });
  });

  describe('before the welcome, by the raw table', () => {
    it.each([1002, 1003, 1007, 1009, 1010, 1015])('%d is suspect, however often: three are counted elsewhere', (code) => {
      expect([0, 1, 2].map((suspects) => ending(code, { welcomed: false, suspects }))).toEqual(['suspect', 'suspect', 'suspect']);
    });

    it.each([1000, 1001, 1006, 1008, 1011, 4400, 4401, 4403, 4404, 4406, 4409, 4410, 4800])(
      '%d ends nothing: who said it is unknown',
      (code) => expect(ending(code, { welcomed: false, suspects: 2 })).toBe('retry'),
    );
  });

  it('is that nobody is logged in, when the credentials say so', () => {
    for (const welcomed of [true, false])
      expect(ending(1006, { kind: 'failed', welcomed, error: new UnauthorizedError() })).toBe('unauthorized');
    expect(ending(1006, { kind: 'failed', welcomed: false, error: new HoldfastError('CONNECTION_FAILED', 'no') })).toBe('retry');
  });
});

describe('the protocol', () => {
  it('reads what it writes, in batches', () => {
    expect(holdfast.batches).toBe(true);
    const batch = new Batch(Infinity);
    const frames = [
      { type: 'ping', nonce: 3 },
      { type: 'cancel', id: 7 },
    ] as const;
    for (const frame of frames) batch.add(holdfast.encode(frame, undefined) ?? '', 10);
    expect(batch.take().flatMap((message) => [...holdfast.decode(message)])).toEqual(frames);
  });

  it('takes nothing that only a server takes', () => {
    expect([...holdfast.decode('{"type":"hello"}')]).toEqual([]);
    expect(() => [...holdfast.decode('{"type":"message"}')]).toThrow(ProtocolError);
  });
});
