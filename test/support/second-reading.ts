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

const limits = fields({ message: id, window: whole });
const failure = fields({ code: text, message: or(text), retryAfter: or(number) });
const both: Record<string, Check> = {
  ping: fields({ nonce: or(whole) }),
  pong: fields({ nonce: or(whole) }),
  bye: fields({ code: whole, reason: or(text), reconnect: flag, resume: flag, retryAfter: or(number) }),
  event: fields({ name: text, data: there }),
  request: fields({ id, method: text, timeout: or(number) }),
  response: fields({ id }),
  error: fields({ id, error: failure }),
  cancel: fields({ id }),
};
const declared = or(all(fields({ channel: text })));
const results = or(all(fields({ channel: text, recovered: or(flag), error: or(failure) })));
export const RULES: Record<Side, Record<string, Check>> = {
  client: {
    ...both,
    hello: fields({ version: id, features: all(text), subscriptions: declared, limits, attempt: whole, cause: or(text) }),
    subscribe: fields({ id, channel: text }),
    unsubscribe: fields({ id, channel: text }),
    publish: fields({ id: or(id), channel: text, data: there }),
  },
  server: {
    ...both,
    welcome: fields({
      version: id,
      features: all(text),
      resumed: flag,
      heartbeat: fields({ interval: id, timeout: id }),
      limits,
      subscriptions: results,
    }),
    unsubscribe: fields({ channel: text, error: or(failure), resubscribe: or(flag) }),
    message: fields({ channel: text, data: there, offset: or(whole), from: or(text) }),
  },
};
const PAYLOAD: Record<string, string> = { event: 'data', publish: 'data', message: 'data', request: 'params', response: 'result' };

/** The known frames of a message, up to the first violation. */
export function reading(message: Message, from: Side): { frames: Frame[]; violation: boolean } {
  const frames: Frame[] = [];
  try {
    for (const value of values(message)) {
      if (typeof value !== 'object' || !value || Array.isArray(value)) throw new Error('no object');
      const type = own(value, 'type');
      if (typeof type !== 'string') throw new Error('no type');
      const rule = own(RULES[from], type) as Check | undefined;
      if (rule && !rule(value)) throw new Error('a bad field');
      if (rule) frames.push(value as Frame);
    }
  } catch {
    return { frames, violation: true };
  }
  return { frames, violation: false };
}

/** Escapes may spell it too. What is nested very deep has neither: a reviver would not come to its end. */
function parse(json: string): unknown {
  if (!/__proto__|\\u/.test(json)) return JSON.parse(json);
  return JSON.parse(json, (key, value: unknown) => (key === '__proto__' ? undefined : value));
}

function values(message: Message): unknown[] {
  if (typeof message === 'string') {
    const value = parse(message);
    if (!Array.isArray(value)) return [value];
    if (value.length < 1 || value.length > 64) throw new Error('no batch');
    return value;
  }
  const end = message.indexOf(255);
  if (end < 0) throw new Error('no separator');
  const frame = parse(new TextDecoder('utf-8', { fatal: true }).decode(message.subarray(0, end)));
  const type = own(Object(frame), 'type');
  const field = typeof type === 'string' && own(PAYLOAD, type);
  if (Array.isArray(frame) || typeof field !== 'string') throw new Error('no payload');
  return [{ ...(frame as Frame), [field]: message.slice(end + 1) }];
}
