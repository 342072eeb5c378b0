import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../src/errors.ts';
import { decodeFrames, decodePayload, encodeFrame, encodePayload, MAX_BATCH } from '../../src/wire/codec.ts';
import { type Outgoing, PAYLOAD_FIELDS } from '../../src/wire/frames.ts';
import { FROM_CLIENT, FROM_SERVER } from '../../src/wire/shapes.ts';

const fromClient = (message: unknown) => [...decodeFrames(message, FROM_CLIENT)];
const fromServer = (message: unknown) => [...decodeFrames(message, FROM_SERVER)];
const refused = (message: unknown) => expect(() => fromClient(message)).toThrow(ProtocolError);
const bytes = (...parts: (string | number | readonly number[])[]) =>
  new Uint8Array(parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : part)));
const SEPARATOR = 0xff;

/** What JSON carries; the one key that does not arrive has tests of its own. */
const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));

/** Every frame that has a payload, with who reads it and the field it comes out in. */
const CARRIERS: [Outgoing, typeof fromClient | typeof fromServer, string][] = [
  [{ type: 'event', name: 'n' }, fromClient, 'data'],
  [{ type: 'event', name: 'n' }, fromServer, 'data'],
  [{ type: 'request', id: 1, method: 'm' }, fromClient, 'params'],
  [{ type: 'response', id: 1 }, fromServer, 'result'],
  [{ type: 'publish', channel: 'c' }, fromClient, 'data'],
  [{ type: 'message', channel: 'c' }, fromServer, 'data'],
  [{ type: 'item', id: 1 }, fromClient, 'data'],
  [{ type: 'item', id: 1, cursor: 7 }, fromServer, 'data'],
  [{ type: 'chunk', id: 1 }, fromClient, 'data'],
];

describe('a frame with a payload', () => {
  it('knows where each payload stands', () => {
    for (const [{ type }, , field] of CARRIERS) expect(PAYLOAD_FIELDS[type]).toBe(field);
    expect(Object.keys(PAYLOAD_FIELDS).sort()).toEqual([...new Set(CARRIERS.map(([{ type }]) => type))].sort());
  });

  it.each(CARRIERS)('comes back as it was, in JSON: %j', (frame, read, field) => {
    fc.assert(
      fc.property(json, (value) => {
        const payload = encodePayload(value);
        expect(read(encodeFrame(frame, payload))).toEqual([{ ...frame, [field]: JSON.parse(JSON.stringify(value)) }]);
      }),
      { numRuns: 200 },
    );
  });

  it.each(CARRIERS)('comes back as it was, in bytes: %j', (frame, read, field) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(16), (data, offset) => {
        const message = encodeFrame(frame, encodePayload(data));
        if (typeof message === 'string') throw new Error('bytes became text');
        // As ws hands it over: somewhere in a larger buffer.
        const pool = new Uint8Array(offset + message.length + 7);
        pool.set(message, offset);
        for (const given of [message, message.slice().buffer, pool.subarray(offset, offset + message.length)])
          expect(read(given)).toEqual([{ ...frame, [field]: data }]);
      }),
      { numRuns: 200 },
    );
  });

  it('may be bytes of every value, also the separator, and none at all', () => {
    const all = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff);
    for (const data of [all, bytes(SEPARATOR), bytes(SEPARATOR, SEPARATOR), bytes()])
      expect(fromClient(encodeFrame({ type: 'event', name: 'ÿ💧' }, data))).toEqual([{ type: 'event', name: 'ÿ💧', data }]);
  });

  it('has a copy of the bytes of its message', () => {
    const message = bytes('{"type":"event","name":"n"}', SEPARATOR, [1, 2]);
    const [frame] = fromClient(message);
    message.fill(0);
    expect(frame).toEqual({ type: 'event', name: 'n', data: bytes([1, 2]) });
  });

  it('may come without it where it is optional', () => {
    expect(fromClient(encodeFrame({ type: 'request', id: 1, method: 'm' }, undefined))).toEqual([{ type: 'request', id: 1, method: 'm' }]);
    expect(fromServer(encodeFrame({ type: 'response', id: 1 }, undefined))).toEqual([{ type: 'response', id: 1 }]);
  });

  it('puts its JSON before its bytes', () => {
    expect(encodeFrame({ type: 'event', name: 'a' }, bytes([7]))).toEqual(bytes('{"type":"event","name":"a"}', SEPARATOR, 7));
    expect(encodeFrame({ type: 'event', name: 'a' }, '[7]')).toBe('{"type":"event","name":"a","data":[7]}');
  });
});

describe('a payload', () => {
  it('is a snapshot: what changes later does not matter', () => {
    const data = bytes([1, 2, 3]);
    const views = [encodePayload(data), encodePayload(data.buffer), encodePayload(new DataView(data.buffer, 1, 1))];
    data.fill(0);
    expect(views).toEqual([bytes([1, 2, 3]), bytes([1, 2, 3]), bytes([2])]);
  });

  it('is the bytes of a view, not those of its buffer', () => {
    expect(encodePayload(new Uint16Array([1, 0x0203, 4]).subarray(1, 2))).toEqual(bytes([3, 2]));
    expect(encodePayload(Buffer.from('abc').subarray(1))).toEqual(bytes('bc'));
  });

  it('may come from another realm, in and out', () => {
    const foreign: unknown = runInNewContext('new Uint8Array([1, 2]).buffer');
    expect(encodePayload(foreign)).toEqual(bytes([1, 2]));
    const message: unknown = runInNewContext(`new Uint8Array([${bytes('{"type":"event","name":"n"}', SEPARATOR, 9).join()}]).buffer`);
    expect(fromClient(message)).toEqual([{ type: 'event', name: 'n', data: bytes([9]) }]);
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  it.each<[string, unknown]>([
    ['a cycle', cycle],
    ['a BigInt', 1n],
    ['a BigInt inside', { n: [1n] }],
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
    ['a Blob', new Blob(['x'])],
    ['a File', new File(['x'], 'x')],
    ['what hides itself', { toJSON: () => undefined }],
  ])('cannot be %s', (_, value) => {
    expect(() => encodePayload(value)).toThrow(TypeError);
  });

  it('cannot be nested deeper than JSON goes: that is a TypeError like the others', () => {
    expect(() => encodePayload(nested(100_000))).toThrow(TypeError);
  });

  it('that is left out stays left out, and null is null', () => {
    expect([encodePayload(undefined), encodePayload(null)]).toEqual([undefined, 'null']);
    expect([decodePayload(undefined), decodePayload('null'), decodePayload('[1]')]).toEqual([undefined, null, [1]]);
    expect(decodePayload(bytes([1]))).toEqual(bytes([1]));
  });
});

describe('__proto__', () => {
  const escapes = [
    '__proto__',
    '\\u005f_proto__',
    '__\\u0070roto__',
    '__p\\u0072oto__',
    '__pr\\u006fto__',
    '__pr\\u006Fto__',
    '__pro\\u0074o__',
  ];
  const all = [...'__proto__'].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join('');
  const poison = (key: string) => `"${key}":{"polluted":true}`;

  it.each([...escapes, all])('is dropped at every depth, and nothing else: %s', (key) => {
    const data = `{"a":1,${poison(key)},"b":[{${poison(key)},"c":{${poison(key)},"d":null}}],"e":"${key}"}`;
    const expected = { a: 1, b: [{ c: { d: null } }], e: '__proto__' };
    const head = '"type":"event","name":"n"';
    const texts = [`{${poison(key)},${head},"data":${data}}`, `[{${head},"data":${data},${poison(key)}}]`];
    for (const [frame] of texts.map((text) => fromClient(text))) {
      expect(frame).toEqual({ type: 'event', name: 'n', data: expected });
      expect(ownKeys(frame)).not.toContain('__proto__');
      expect(Object.assign({}, frame)).not.toHaveProperty('polluted');
    }
    expect(fromClient(bytes(`{${poison(key)},${head}}`, SEPARATOR, 1))).toEqual([{ type: 'event', name: 'n', data: bytes([1]) }]);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it('in the place of a required field does not stand for it', () => {
    refused('{"type":"cancel","__proto__":{"id":1}}');
    refused('{"__proto__":{"type":"ping"}}');
  });
});

describe('a text message', () => {
  it.each([
    '',
    ' ',
    '{',
    '{"type":"ping"',
    '{"type":"ping"}}',
    "{'type':'ping'}",
    'ping',
    'undefined',
    '\u0000',
    '{"type":"ping",}',
    '\ufeff{"type":"ping"}',
  ])('that is not JSON is refused: %j', (text) => expect(() => fromClient(text)).toThrow(new ProtocolError('A message is JSON')));

  it.each(['null', '1', '"ping"', 'true', '[]', '[[]]', '[[{"type":"ping"}]]', '[null]', '["ping"]', '[1]', '{}', '[{}]'])(
    '%s is no frame',
    refused,
  );

  it('nested 100,000 deep is refused or understood, and harms nobody', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      refused(deep);
      for (const name of ['n', '__proto__']) {
        const outcome = outcomeOf(`{"type":"event","name":"${name}","data":${deep}}`);
        expect(outcome === 'refused' || outcome === 1).toBe(true);
      }
    }
  });

  it('of 10 MB is read, or refused for what it is', () => {
    const data = 'x'.repeat(10_000_000);
    expect(fromClient(`{"type":"event","name":"n","data":"${data}"}`)).toEqual([{ type: 'event', name: 'n', data }]);
    refused(data);
    refused(`"${data}"`);
  });
});

describe('a batch', () => {
  const pings = (count: number) => `[${Array(count).fill('{"type":"ping"}').join()}]`;

  it('is read in order', () => {
    const text = '[{"type":"cancel","id":1},{"type":"ping"},{"type":"cancel","id":2}]';
    expect(fromClient(text)).toEqual([{ type: 'cancel', id: 1 }, { type: 'ping' }, { type: 'cancel', id: 2 }]);
  });

  it('has at least one frame and at most 64, known or not', () => {
    expect(MAX_BATCH).toBe(64);
    expect(fromClient(pings(1))).toHaveLength(1);
    expect(fromClient(pings(64))).toHaveLength(64);
    for (const text of ['[]', pings(65), pings(65).replaceAll('ping', 'whatever')]) refused(text);
  });

  it('of a million empty frames is refused', () => {
    refused(`[${Array(1_000_000).fill('{}').join()}]`);
  });

  it('that is too long hands out nothing; one with a malformed frame hands out those before it', () => {
    const read = (text: string) => {
      const types: string[] = [];
      expect(() => {
        for (const frame of decodeFrames(text, FROM_CLIENT)) types.push(frame.type);
      }).toThrow(ProtocolError);
      return types;
    };
    expect(read(pings(65))).toEqual([]);
    expect(read('[{"type":"ping"},{"type":"pong"},{"type":"cancel"},{"type":"ping"}]')).toEqual(['ping', 'pong']);
    expect(read('[{"type":"ping"},[{"type":"pong"}]]')).toEqual(['ping']);
  });

  it('may hold frames that nobody knows', () => {
    expect(fromClient('[{"type":"later"},{"type":"ping"},{"type":"grant","id":-1}]')).toEqual([{ type: 'ping' }]);
  });
});

describe('a binary message', () => {
  const head = '{"type":"event","name":"n"}';
  it.each<[string, unknown]>([
    ['without a separator', bytes(head)],
    ['empty', bytes()],
    ['a separator alone', bytes(SEPARATOR)],
    ['with half a frame', bytes(head.slice(0, -1), SEPARATOR, 1)],
    ['with something behind the frame', bytes(`${head} x`, SEPARATOR, 1)],
    ['with a batch', bytes(`[${head}]`, SEPARATOR, 1)],
    ['with no frame', bytes('null', SEPARATOR, 1)],
    ['with a number', bytes('1', SEPARATOR, 1)],
    ['with a text', bytes('"event"', SEPARATOR, 1)],
    ['with an array that has a type', bytes('["event"]', SEPARATOR, 1)],
    ['with a type that is no text', bytes('{"type":["event"],"name":"n"}', SEPARATOR, 1)],
    ['with a type without a payload', bytes('{"type":"ping"}', SEPARATOR)],
    ['with a type without a payload that the other side has', bytes('{"type":"subscribe","id":1,"channel":"c"}', SEPARATOR, 1)],
    ['with what somebody shows', bytes('{"type":"presence","id":1,"channel":"c","watch":true,"here":true}', SEPARATOR, 1)],
    ['with the end of an upload', bytes('{"type":"finish","id":1}', SEPARATOR)],
    ['with another field missing', bytes('{"type":"event"}', SEPARATOR, 1)],
    ['cut off in a character', bytes('{"type":"event","name":"', [0xf0, 0x9f], SEPARATOR, 1)],
    ['with a surrogate in bytes', bytes('{"type":"event","name":"', [0xed, 0xa0, 0x80], '"}', SEPARATOR, 1)],
    ['with an overlong character', bytes('{"type":"event","name":"', [0xc0, 0x80], '"}', SEPARATOR, 1)],
    ['with 0xFE', bytes(head, 0xfe, SEPARATOR, 1)],
    ['with another separator before', bytes(SEPARATOR, head, SEPARATOR, 1)],
    ['of nothing', null],
    ['that is undefined', undefined],
    ['that is a number', 1],
    ['that is an array', [1, 2]],
    ['that is a Blob', new Blob([head])],
  ])('is refused %s', (_, message) => refused(message));

  it.each(['later', 'constructor', '__proto__', 'welcome', 'grant'])(
    'of the unknown type "%s" is ignored, and counts where it has a number',
    (type) => {
      expect(fromClient(bytes(`{"type":"${type}"}`, SEPARATOR, 1))).toEqual([]);
      expect(fromClient(bytes(`{"type":"${type}","seq":3}`, SEPARATOR, 1))).toEqual([{ type: 'skip', seq: 3 }]);
      refused(bytes(`{"type":"${type}","seq":0}`, SEPARATOR, 1));
    },
  );

  it('in which the payload stands twice means its bytes', () => {
    expect(fromClient(bytes('{"type":"event","name":"n","data":"text"}', SEPARATOR, 1))).toEqual([
      { type: 'event', name: 'n', data: bytes([1]) },
    ]);
  });

  it('of any bytes is refused or read, and nothing else', () => {
    const frames = fc.constantFrom(head, '{"type":"request","id":1,"method":"m"}', '{"type":"ping"}');
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(frames, fc.uint8Array({ maxLength: 9 })).map(([frame, tail]) => bytes(frame, SEPARATOR, [...tail])),
      fc
        .tuple(frames, fc.nat(40), fc.nat(255))
        .map(([frame, at, value]) => bytes(frame, SEPARATOR, 1).map((byte, i) => (i === at ? value : byte))),
    );
    fc.assert(
      fc.property(anything, (message) => {
        expect([0, 1, 'refused']).toContain(outcomeOf(message));
      }),
      { numRuns: 5_000 },
    );
  });
});

/** How many frames a message has; anything that is thrown but a refusal is thrown on. */
function outcomeOf(message: unknown): number | 'refused' {
  try {
    return fromClient(message).length;
  } catch (error) {
    if (error instanceof ProtocolError) return 'refused';
    throw error;
  }
}

function ownKeys(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return Object.getOwnPropertyNames(value).flatMap((key) => [key, ...ownKeys((value as Record<string, unknown>)[key])]);
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}
