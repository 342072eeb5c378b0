/** A second reading of docs/protocol.md, written for the fuzz test: it shares nothing with the decoder but the document. */

export type Frame = Record<string, unknown>;
export type Message = string | Uint8Array;
export type Side = 'client' | 'server';

type Check = (value: unknown) => boolean;
const number: Check = (value) => typeof value === 'number' && value >= 0 && value < Infinity;
const whole: Check = (value) => number(value) && Number(value) % 1 === 0 && Number(value) < 2 ** 53;
const id: Check = (value) => whole(value) && Number(value) > 0;
const text: Check = (value) => typeof value === 'string';
const flag: Check = (value) => value === true || value === false;
const there: Check = (value) => value !== undefined;
const or =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
const all =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && !value.some((each) => !check(each));
const fields =
  (table: Record<string, Check>): Check =>
  (value) =>
    typeof value === 'object' && !!value && !Array.isArray(value) && Object.entries(table).every(([key, check]) => check(own(value, key)));
const own = (value: object, key: string): unknown => Object.getOwnPropertyDescriptor(value, key)?.value;

const none: Check = (value) => value === undefined || value === null;
/** The number of a frame: some have one, and on the others it would be missing in the count. */
const seq = or(id);
const limits = fields({ message: id, window: whole });
const failure = fields({ code: text, message: or(text), retryAfter: or(number) });
const alive = fields({ seq: none, nonce: or(whole), received: or(whole) });
const both: Record<string, Check> = {
  ping: alive,
  pong: alive,
  ack: fields({ seq: none, received: whole }),
  skip: fields({ seq: id }),
  bye: fields({ seq: none, code: whole, reason: or(text), reconnect: flag, resume: flag, retryAfter: or(number), received: or(whole) }),
  event: fields({ seq, name: text, data: there }),
  request: fields({ seq, id, method: text, timeout: or(number), idempotencyKey: or(text), stream: or(flag), credit: or(whole) }),
  response: fields({ seq, id }),
  error: fields({ seq, id, error: failure }),
  cancel: fields({ seq, id }),
  item: fields({ seq, id, data: there }),
  end: fields({ seq, id }),
  credit: fields({ seq, id, count: id }),
};
const place = { epoch: or(text), offset: or(whole) };
const declared = or(all(fields({ channel: text, ...place })));
const results = or(all(fields({ channel: text, recovered: or(flag), ...place, error: or(failure) })));
const resume = or(fields({ session: text, key: text, generation: whole, received: whole }));
export const RULES: Record<Side, Record<string, Check>> = {
  client: {
    ...both,
    hello: fields({
      seq: none,
      version: id,
      features: all(text),
      resume,
      subscriptions: declared,
      limits,
      attempt: whole,
      cause: or(text),
    }),
    subscribe: fields({ seq: none, id, channel: text, ...place }),
    unsubscribe: fields({ seq: none, id, channel: text }),
    publish: fields({ seq, id: or(id), channel: text, data: there, idempotencyKey: or(text) }),
  },
  server: {
    ...both,
    welcome: fields({
      seq: none,
      version: id,
      features: all(text),
      resumed: flag,
      session: or(text),
      key: or(text),
      received: or(whole),
      ttl: or(number),
      idempotency: or(number),
      error: or(failure),
      heartbeat: fields({ interval: id, timeout: id }),
      limits,
      subscriptions: results,
    }),
    unsubscribe: fields({ seq: none, channel: text, error: or(failure), resubscribe: or(flag) }),
    message: fields({ seq: none, channel: text, data: there, offset: or(whole), from: or(text) }),
  },
};
/** What is part of a session, and has a number there. */
export const TRACKED = ['event', 'request', 'response', 'error', 'cancel', 'item', 'end', 'credit', 'publish', 'skip'];
const PAYLOAD: Record<string, string> = {
  ...{ event: 'data', publish: 'data', message: 'data', item: 'data' },
  ...{ request: 'params', response: 'result' },
};

/** The known frames of a message, up to the first violation; one of an unknown type that has a number is a skip. */
export function reading(message: Message, from: Side): { frames: Frame[]; violation: boolean } {
  const frames: Frame[] = [];
  try {
    for (const value of values(message, from)) {
      if (typeof value !== 'object' || !value || Array.isArray(value)) throw new Error('no object');
      const type = own(value, 'type');
      if (typeof type !== 'string') throw new Error('no type');
      const rule = own(RULES[from], type) as Check | undefined;
      const number = own(value, 'seq');
      if (!rule && none(number)) continue;
      if (!(rule ?? both['skip'])?.(value)) throw new Error('a bad field');
      frames.push(rule ? (value as Frame) : { type: 'skip', seq: number });
    }
  } catch {
    return { frames, violation: true };
  }
  return { frames, violation: false };
}

/** How far one end has counted the frames of the other. */
export class Count {
  received = 0;
  readonly isSession: boolean;

  constructor(isSession: boolean) {
    this.isSession = isSession;
  }

  /**
   * Counts a frame that came in. `handle` and `drop` say what is to become of it; `unnumbered`, `numbered` and `gap` that the connection is
   * over: it has no number and must have one, or the other way round, or one before it is missing.
   *
   * @param answered whether it answers something: undefined where it answers nothing, 'direct' where that belongs to the connection
   */
  take(frame: Frame, answered?: 'direct' | 'session' | 'nothing'): 'handle' | 'drop' | 'unnumbered' | 'numbered' | 'gap' {
    const type = String(frame['type']);
    if (!TRACKED.includes(type)) return 'handle';
    const number = own(frame, 'seq');
    if (none(number)) {
      const isVolatile = type === 'event' || (type === 'publish' && none(own(frame, 'id')));
      const isFree = !this.isSession || isVolatile || answered === 'direct' || answered === 'nothing';
      return isFree ? 'handle' : 'unnumbered';
    }
    if (!this.isSession && type === 'skip') return 'drop';
    if (!this.isSession || answered === 'direct') return 'numbered';
    if (Number(number) <= this.received) return 'drop';
    if (Number(number) > this.received + 1) return 'gap';
    this.received++;
    return 'handle';
  }
}

/** How far the other end says that it has received; undefined where a frame does not say so. */
export function acknowledged(frame: Frame): number | undefined {
  const says = ['ping', 'pong', 'ack', 'bye'].includes(String(frame['type'])) ? own(frame, 'received') : undefined;
  return typeof says === 'number' ? says : undefined;
}

/** Escapes may spell it too. What is nested very deep has neither: a reviver would not come to its end. */
function parse(json: string): unknown {
  if (!/__proto__|\\u/.test(json)) return JSON.parse(json);
  return JSON.parse(json, (key, value: unknown) => (key === '__proto__' ? undefined : value));
}

function values(message: Message, from: Side): unknown[] {
  if (typeof message === 'string') {
    const value = parse(message);
    if (!Array.isArray(value)) return [value];
    if (value.length < 1 || value.length > 64) throw new Error('no batch');
    return value;
  }
  const end = message.indexOf(255);
  if (end < 0) throw new Error('no separator');
  const frame = parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message.subarray(0, end)));
  const type = own(Object(frame), 'type');
  if (typeof type === 'string' && !own(RULES[from], type)) return [frame]; // nobody knows what its bytes are
  const field = typeof type === 'string' && own(PAYLOAD, type);
  if (Array.isArray(frame) || typeof field !== 'string') throw new Error('no payload');
  return [{ ...(frame as Frame), [field]: message.slice(end + 1) }];
}
