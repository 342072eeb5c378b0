/** Replays a test vector against a server or a client, whichever it is made for: see docs/protocol-vectors.md. */

import { match } from './pattern.ts';
import type { Expectation, Fields, Json, Message, Step, Vector, Vectors } from './vectors.ts';

/** What the one under test said: a frame, or that it closed. */
export type Heard = { readonly frame: Fields; readonly payload?: Uint8Array } | { readonly close: number };

/** A connection to the one under test. */
export interface Wire {
  send(message: string | Uint8Array): void;
  /** The next that was said; undefined when nothing more comes. */
  next(): Promise<Heard | undefined>;
  /** The connection is lost without a word, or closed with a code, from this side. */
  end(code?: number): void;
}

/** The one under test. */
export interface Subject {
  /** Another connection to it; undefined when it makes none. */
  connect(): Promise<Wire | undefined>;
  /** Has it do something. */
  does(action: Fields): void;
  /** Its time, where that can be told to pass. */
  readonly time?: Time;
}

/** The time of the one under test. */
export interface Time {
  /** So many milliseconds pass. */
  pass(ms: number): Promise<void>;
  /** Whether it has made a connection by itself that nobody has taken yet. */
  readonly isBack: boolean;
}

/** What comes at times of its own: not counted where it is not expected. */
const UNCOUNTED: readonly unknown[] = ['ping', 'ack', 'bye'];
/** Of the last question. */
const NONCE = 4_503_599_627_370_495;

/** Replays one; rejects with what is not as expected. */
export async function replay(vector: Vector, beginnings: Vectors['beginnings'], subject: Subject): Promise<void> {
  const replayed = new Replay(vector, subject);
  try {
    await replayed.run(beginnings);
  } catch (error) {
    throw new Error(`${vector.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

class Replay {
  readonly #vector: Vector;
  readonly #subject: Subject;
  readonly #wires: Wire[] = [];
  /** What was captured, by name. */
  readonly #captured = new Map<string, Json>();
  /** What the one under test takes, in bytes. */
  #limit = 0;

  constructor(vector: Vector, subject: Subject) {
    this.#vector = vector;
    this.#subject = subject;
  }

  async run(beginnings: Vectors['beginnings']): Promise<void> {
    const { before = [], receives, expects } = this.#vector;
    const steps = before.flatMap((step) => (typeof step === 'string' ? (beginnings[step] ?? []) : [step]));
    await this.#connect();
    for (const [i, step] of steps.entries())
      await this.#step(step as Exclude<Step, string>, i === steps.length - 1 && receives === undefined);
    if (receives !== undefined) this.#wire().send(this.#encoded(receives));
    await this.#verify(expects);
  }

  #wire(on = this.#wires.length): Wire {
    const wire = this.#wires[on - 1];
    if (!wire) throw new Error(`there is no connection ${on}`);
    return wire;
  }

  get #time(): Time {
    if (this.#subject.time) return this.#subject.time;
    throw new Error('nobody can tell its time to pass');
  }

  async #connect(): Promise<void> {
    const wire = await this.#subject.connect();
    if (!wire) throw new Error('it makes no other connection');
    this.#wires.push(wire);
  }

  async #step(step: Exclude<Step, string>, isLast: boolean): Promise<void> {
    if ('does' in step) return this.#subject.does(step.does);
    if ('wait' in step) return this.#time.pass(step.wait);
    if ('connects' in step) return this.#connect();
    if ('cut' in step || 'closes' in step) {
      this.#wire().end('closes' in step ? step.closes : undefined);
      if (step.away !== undefined) await this.#time.pass(step.away);
      return isLast ? undefined : this.#connect();
    }
    if ('closed' in step) {
      await this.#closes(this.#wire(), [step.closed].flat());
      return this.#connect();
    }
    const wire = this.#wire(step.on);
    const isHeard = step.from === this.#vector.to;
    if ('frames' in step && isHeard) return this.#expect(wire, step.frames);
    if ('frame' in step) return isHeard ? this.#expect(wire, [step.frame]) : wire.send(this.#encoded(JSON.stringify(step.frame)));
    if ('frames' in step || isHeard) throw new Error('only what the one under test says comes in any order, and it is given as frames');
    wire.send(this.#encoded(step.message));
  }

  async #verify({ frames = [], close, reconnects, returns, next, olderCloses }: Expectation): Promise<void> {
    const wire = this.#wire();
    for (const each of frames) await this.#expect(wire, 'length' in each ? (each as readonly Fields[]) : [each as Fields]);
    if (olderCloses !== undefined) await this.#closes(this.#wire(this.#wires.length - 1), [olderCloses]);
    if (close !== undefined) await this.#closes(wire, [close].flat());
    if (returns) await this.#returns(...returns);
    if (reconnects !== undefined || returns || next) {
      const another = await this.#subject.connect();
      if ((another !== undefined) !== (reconnects ?? true)) throw new Error(another ? 'it came back' : 'it did not come back');
      if (another && next) await this.#expect(another, [next]);
    } else if (close === undefined) await this.#lives(wire);
  }

  /** It makes another connection by itself: not before the first time, and not after the second. */
  async #returns(from: number, to: number): Promise<void> {
    const time = this.#time;
    if (from > 0) await time.pass(from - 1);
    if (from > 0 && time.isBack) throw new Error(`it came back within ${from} ms`);
    await time.pass(to - from + 1);
    if (!time.isBack) throw new Error(`it did not come back within ${to} ms`);
  }

  /** The next frames, in any order. */
  async #expect(wire: Wire, patterns: readonly Fields[]): Promise<void> {
    const left = [...patterns];
    while (left.length > 0) {
      const heard = await this.#counted(wire, left);
      if (!heard || 'close' in heard) throw new Error(`expected ${JSON.stringify(left)}, but ${told(heard)}`);
      const misfits = left.map((pattern) => match(heard, pattern, this.#captured));
      const at = misfits.indexOf(undefined);
      if (at < 0) throw new Error(`expected ${JSON.stringify(left)}, but ${told(heard)}: ${misfits[0]}`);
      left.splice(at, 1);
      const { limits } = heard.frame as { limits?: { message: number } };
      if (limits) this.#limit = limits.message;
    }
  }

  async #closes(wire: Wire, codes: readonly number[]): Promise<void> {
    const heard = await this.#counted(wire, []);
    if (!heard || !('close' in heard) || !codes.includes(heard.close))
      throw new Error(`expected a close with ${codes}, but ${told(heard)}`);
  }

  /** Nothing was said, and it answers. Asked twice: what it is about to say may come behind the first answer. */
  async #lives(wire: Wire): Promise<void> {
    for (const nonce of [NONCE - 1, NONCE]) {
      wire.send(JSON.stringify({ type: 'ping', nonce }));
      const heard = await this.#counted(wire, []);
      if (!heard || 'close' in heard || heard.frame['nonce'] !== nonce) throw new Error(`expected nothing more, but ${told(heard)}`);
    }
  }

  /** The next that counts. */
  async #counted(wire: Wire, expected: readonly Fields[]): Promise<Heard | undefined> {
    for (;;) {
      const heard = await wire.next();
      if (!heard || 'close' in heard) return heard;
      const { type } = heard.frame;
      if (type === undefined || !UNCOUNTED.includes(type) || expected.some((each) => each['type'] === type)) return heard;
    }
  }

  #encoded(message: Message): string | Uint8Array {
    if (typeof message === 'string') return filled(message, this.#captured);
    if ('base64' in message) return new Uint8Array(Buffer.from(message.base64, 'base64'));
    const { text, bytes } = message;
    const size = typeof bytes === 'number' ? bytes : this.#limit + (bytes === 'limit' ? 0 : 1);
    return text.replace('{{pad}}', 'x'.repeat(size - text.length + '{{pad}}'.length));
  }
}

/** A text with what was captured in the place of `{{name}}`. */
export function filled(text: string, captured: ReadonlyMap<string, Json>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = captured.get(name);
    if (value === undefined) throw new Error(`nothing was captured as ${name}`);
    const json = JSON.stringify(value);
    return typeof value === 'string' ? json.slice(1, -1) : json;
  });
}

function told(heard: Heard | undefined): string {
  if (!heard) return 'nothing came';
  return 'close' in heard ? `it closed with ${heard.close}` : `it said ${JSON.stringify(heard.frame as Json)}`;
}
