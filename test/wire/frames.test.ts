import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../src/errors.ts';
import { FROM_CLIENT, FROM_SERVER, frameOf } from '../../src/wire/shapes.ts';

/** What a field may hold, by the table of the protocol: values that are taken, and values that are not. */
interface Kind {
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

const NOT_TEXT = [0, true, [], {}, ['a']];
const NOT_WHOLE = [-1, 0.5, 1e300, 2 ** 53, Number.NaN, Infinity, '1', true, [], {}, [1]];
const TEXT: Kind = { good: ['', 'a', '\u0000', '💧', '__proto__'], bad: [...NOT_TEXT, null] };
const FLAG: Kind = { good: [true, false], bad: [0, 1, 'true', '', null, [], {}] };
const WHOLE: Kind = { good: [0, 1, 4_000, Number.MAX_SAFE_INTEGER], bad: [...NOT_WHOLE, null] };
const ID: Kind = { good: [1, 2, Number.MAX_SAFE_INTEGER], bad: [...NOT_WHOLE, null, 0, -0] };
const DATA: Kind = { good: [null, 0, '', false, [], {}, new Uint8Array(3)], bad: [] };
const TEXTS: Kind = { good: [[], ['a'], ['a', 'b']], bad: ['a', {}, null, [1], ['a', null], [['a']], { length: 0 }] };
const LIMITS: Kind = {
  good: [
    { message: 1, window: 0 },
    { message: 262_144, window: 256, more: 1 },
  ],
  bad: [
    null,
    [],
    'x',
    {},
    { message: 1 },
    { window: 1 },
    { message: 0, window: 1 },
    { message: 1, window: -1 },
    { message: '1', window: 1 },
  ],
};
const HEARTBEAT: Kind = {
  good: [{ interval: 1, timeout: 1 }],
  bad: [null, [], {}, { interval: 1 }, { interval: 0, timeout: 1 }, { interval: 1, timeout: 0.5 }, { interval: '1', timeout: 1 }],
};
const GOOD_ERROR = { code: 'X', message: 'm', data: { any: [1] }, retryAfter: 0.5 };
const BAD_ERRORS = [[], 'x', 1, {}, { code: 1 }, { code: null }, { code: 'X', message: 1 }, { code: 'X', retryAfter: -1 }];
const ERROR: Kind = {
  good: [GOOD_ERROR, { code: '' }, { code: 'X', message: null, data: null, retryAfter: null }],
  bad: [...BAD_ERRORS, null, { message: 'm' }, { code: 'X', retryAfter: '1' }, { code: 'X', retryAfter: Infinity }],
};
const optional = ({ good, bad }: Kind): Kind => ({ good: [...good, null], bad: bad.filter((value) => value !== null) });
const MILLISECONDS = optional({ good: [0, 0.5, 1e9], bad: [-1, Number.NaN, Infinity, '1', true, [], {}] });
const DECLARED = optional({
  good: [
    [],
    [{ channel: '' }],
    [
      { channel: 'a', params: { any: 1 } },
      { channel: 'b', epoch: 'e', offset: 0 },
    ],
  ],
  bad: [
    ...['a', {}, [1], [null], [{}], [{ channel: 1 }], [{ channel: 'a' }, {}]],
    ...[[{ channel: 'a', epoch: 1, offset: 1 }], [{ channel: 'a', epoch: 'e', offset: -1 }]],
  ],
});
const RESULTS = optional({
  good: [
    ...[[], [{ channel: 'a' }], [{ channel: 'a', recovered: true, error: GOOD_ERROR }]],
    ...[[{ channel: 'a', epoch: 'e', offset: 7 }], [{ channel: 'a', recovered: null, error: null, epoch: null, offset: null }]],
  ],
  bad: [
    ...['a', {}, [1], [{}], [{ channel: 'a', recovered: 1 }], [{ channel: 'a', epoch: 1 }], [{ channel: 'a', offset: '1' }]],
    ...BAD_ERRORS.map((error) => [{ channel: 'a', error }]),
  ],
});

const RESUME = optional({
  good: [
    { session: '', key: '', generation: 0, received: 0 },
    { session: 's', key: 'k', generation: 3, received: 4_000, more: 1 },
  ],
  bad: [
    ...['x', 1, [], {}, { session: 's', key: 'k', generation: 1 }],
    ...[{ session: 1 }, { key: null }, { generation: 0.5 }, { received: -1 }].map((bad) => ({
      ...{ session: 's', key: 'k', generation: 1, received: 0 },
      ...bad,
    })),
  ],
});
const MEMBER = { id: 'a', data: null };
const MEMBERS = optional({
  good: [[], [MEMBER], [MEMBER, { id: '', from: null, data: { any: [1] }, more: 1 }, { id: 'b', from: 'ida', data: 0 }]],
  bad: [
    ...['a', 1, true, {}, ['a'], [null], [[]], [MEMBER, {}]],
    ...[{ id: 1 }, { id: null }, { id: undefined }, { from: 1 }, { from: ['a'] }, { data: undefined }].map((bad) => [
      { ...MEMBER, ...bad },
    ]),
  ],
});
/** The number of a frame that may have one; and of one that has none: it would be missing in the count. */
const NUMBER = optional(ID);
const NO_NUMBER = optional({ good: [], bad: [0, 1, 'x', true, {}, []] });

interface Fields {
  readonly required?: Readonly<Record<string, Kind>>;
  readonly optional?: Readonly<Record<string, Kind>>;
}

const COMMON: Readonly<Record<string, Fields>> = {
  ping: { optional: { seq: NO_NUMBER, nonce: optional(WHOLE), received: optional(WHOLE), next: optional(WHOLE) } },
  pong: { optional: { seq: NO_NUMBER, nonce: optional(WHOLE), received: optional(WHOLE) } },
  ack: { required: { received: WHOLE }, optional: { seq: NO_NUMBER } },
  skip: { required: { seq: ID } },
  bye: {
    required: { code: WHOLE, reconnect: FLAG, resume: FLAG },
    optional: { seq: NO_NUMBER, reason: optional(TEXT), retryAfter: MILLISECONDS, received: optional(WHOLE) },
  },
  event: { required: { name: TEXT, data: DATA }, optional: { seq: NUMBER } },
  request: {
    required: { id: ID, method: TEXT },
    optional: {
      ...{ seq: NUMBER, params: DATA, timeout: MILLISECONDS, idempotencyKey: optional(TEXT) },
      ...{ stream: optional(FLAG), credit: optional(WHOLE), cursor: DATA, upload: optional(FLAG) },
    },
  },
  response: { required: { id: ID }, optional: { seq: NUMBER, result: DATA } },
  error: { required: { id: ID, error: ERROR }, optional: { seq: NUMBER } },
  cancel: { required: { id: ID }, optional: { seq: NUMBER } },
  item: { required: { id: ID, data: DATA }, optional: { seq: NUMBER, cursor: DATA } },
  end: { required: { id: ID }, optional: { seq: NUMBER } },
  credit: { required: { id: ID, count: ID }, optional: { seq: NUMBER } },
};
/** A place in the history of a channel. */
const PLACE = { epoch: optional(TEXT), offset: optional(WHOLE) };

const SIDES = [
  [
    'client',
    FROM_CLIENT,
    {
      ...COMMON,
      hello: {
        required: { version: ID, features: TEXTS, limits: LIMITS, attempt: WHOLE },
        optional: { seq: NO_NUMBER, auth: DATA, resume: RESUME, subscriptions: DECLARED, cause: optional(TEXT) },
      },
      subscribe: { required: { id: ID, channel: TEXT }, optional: { seq: NO_NUMBER, params: DATA, ...PLACE } },
      unsubscribe: { required: { id: ID, channel: TEXT }, optional: { seq: NO_NUMBER } },
      publish: { required: { channel: TEXT, data: DATA }, optional: { seq: NUMBER, id: optional(ID), idempotencyKey: optional(TEXT) } },
      presence: { required: { id: ID, channel: TEXT, watch: FLAG, here: FLAG }, optional: { seq: NO_NUMBER, data: DATA } },
      chunk: { required: { id: ID, data: DATA }, optional: { seq: NUMBER } },
      finish: { required: { id: ID }, optional: { seq: NUMBER } },
      auth: { required: { id: ID }, optional: { seq: NO_NUMBER, auth: DATA } },
    },
  ],
  [
    'server',
    FROM_SERVER,
    {
      ...COMMON,
      welcome: {
        required: { version: ID, features: TEXTS, resumed: FLAG, heartbeat: HEARTBEAT, limits: LIMITS },
        optional: {
          ...{ seq: NO_NUMBER, subscriptions: RESULTS, session: optional(TEXT), key: optional(TEXT) },
          ...{ received: optional(WHOLE), ttl: MILLISECONDS, idempotency: MILLISECONDS, error: optional(ERROR) },
        },
      },
      unsubscribe: {
        required: { channel: TEXT },
        optional: { seq: NO_NUMBER, error: optional(ERROR), resubscribe: optional(FLAG) },
      },
      message: {
        required: { channel: TEXT, data: DATA },
        optional: { seq: NO_NUMBER, offset: optional(WHOLE), from: optional(TEXT) },
      },
      presence: {
        required: { channel: TEXT },
        optional: { seq: NO_NUMBER, set: MEMBERS, gone: optional(TEXTS), snapshot: optional(FLAG), more: optional(FLAG) },
      },
      grant: { required: { id: ID, count: ID }, optional: { seq: NUMBER } },
      auth: {
        required: { within: { ...MILLISECONDS, good: [0, 0.5, 1e9], bad: [...MILLISECONDS.bad, null] } },
        optional: { seq: NO_NUMBER },
      },
    },
  ],
] as const satisfies readonly (readonly [string, typeof FROM_CLIENT | typeof FROM_SERVER, Readonly<Record<string, Fields>>])[];

describe.each(SIDES)('what a %s sends', (_side, shapes, table: Readonly<Record<string, Fields>>) => {
  const read = (value: unknown) => frameOf<never>(value, shapes as never);

  it('has exactly the types of the table', () => {
    expect(Object.keys(shapes.shapes).sort()).toEqual(Object.keys(table).sort());
  });

  describe.each(Object.entries(table))('%s', (type, { required = {}, optional = {} }) => {
    const least = { type, ...Object.fromEntries(Object.entries(required).map(([name, { good }]) => [name, good[0]])) };
    const fields = Object.entries({ ...required, ...optional });

    it('is taken with nothing but its required fields, as it is', () => {
      expect(read(least)).toBe(least);
    });

    it('is taken with fields that nobody knows', () => {
      expect(read({ ...least, later: 'x', toString: null, nested: { type: 1 } })).toBeDefined();
    });

    it('is refused when a required field is missing, or only inherited', () => {
      for (const name of Object.keys(required)) {
        const { [name]: value, ...rest } = least as Record<string, unknown>;
        const said = `A frame of type ${type} has no valid "${name}"`;
        expect(() => read(rest), name).toThrow(new ProtocolError(said));
        expect(() => read(Object.assign(Object.create({ [name]: value }), rest)), `inherited ${name}`).toThrow(ProtocolError);
      }
    });

    it('is taken with every value that a field may have', () => {
      for (const [name, { good }] of fields)
        for (const value of good) expect(read({ ...least, [name]: value }), name).toMatchObject({ [name]: value });
    });

    it('is refused at every value that a field may not have', () => {
      for (const [name, { bad }] of fields)
        for (const value of bad) expect(() => read({ ...least, [name]: value }), `${name}: ${show(value)}`).toThrow(ProtocolError);
    });
  });

  it.each(['unknown', '', 'Ping', 'ping ', 'constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'of the unknown type "%s" is ignored',
    (type) => {
      expect(read({ type, id: 'whatever' })).toBeUndefined();
      expect(read({ type, seq: null })).toBeUndefined();
    },
  );

  it.each(['unknown', '', 'Ping', 'constructor', '__proto__'])(
    'of the unknown type "%s" counts where it has a number, and is skipped',
    (type) => {
      expect(read({ type, id: 'whatever', seq: 7 })).toEqual({ type: 'skip', seq: 7 });
      for (const seq of ID.bad.filter((value) => value !== null)) expect(() => read({ type, seq }), show(seq)).toThrow(ProtocolError);
    },
  );

  it.each([null, undefined, 1, 'ping', true, [], [{ type: 'ping' }], () => {}])('%s is no frame', (value) => {
    expect(() => read(value)).toThrow(new ProtocolError('A frame is an object'));
  });

  it.each([undefined, null, 1, ['ping'], { toString: () => 'ping' }, true])('with the type %s is no frame', (type) => {
    expect(() => read({ type })).toThrow(new ProtocolError('A frame has a type'));
  });
});

describe('the types that belong to the other side', () => {
  it.each(['welcome', 'message', 'grant'])('%s is unknown to a server', (type) => {
    expect(frameOf({ type }, FROM_CLIENT)).toBeUndefined();
  });

  it.each(['hello', 'subscribe', 'publish', 'chunk', 'finish'])('%s is unknown to a client', (type) => {
    expect(frameOf({ type }, FROM_SERVER)).toBeUndefined();
  });

  it.each(['login', 'replay'])('%s, which may come with later features, is unknown to both', (type) => {
    expect([frameOf({ type }, FROM_CLIENT), frameOf({ type }, FROM_SERVER)]).toEqual([undefined, undefined]);
    const skip = { type: 'skip', seq: 1 };
    expect([frameOf({ type, seq: 1 }, FROM_CLIENT), frameOf({ type, seq: 1 }, FROM_SERVER)]).toEqual([skip, skip]);
  });

  it('presence of one is none of the other', () => {
    const [client, server] = [
      { type: 'presence', id: 1, channel: 'c', watch: true, here: false },
      { type: 'presence', channel: 'c', gone: 'nobody' },
    ];
    expect(frameOf(client, FROM_CLIENT)).toBe(client);
    expect(() => frameOf(server, FROM_SERVER)).toThrow(new ProtocolError('A frame of type presence has no valid "gone"'));
    expect(() => frameOf(server, FROM_CLIENT)).toThrow(new ProtocolError('A frame of type presence has no valid "id"'));
  });
});

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
