import type { Client } from 'holdfast';
import { expect, it } from 'vitest';
import type { Demo } from '../../demo/contract.ts';
import { Watch } from '../../demo/watch.ts';

/** A client of which only the channel and its position are real enough to be watched. */
class Watched extends EventTarget {
  readonly lines: string[] = [];
  readonly watch: Watch;
  position = 0;
  readonly #room = new EventTarget();

  constructor() {
    super();
    const client = this as unknown as Client<Demo>;
    this.watch = new Watch(client, 'me', (line, kind) => this.lines.push(`${kind}: ${line}`));
  }

  channel(): EventTarget {
    return this.#room;
  }

  call(): Promise<number> {
    return Promise.resolve(this.position);
  }

  /** Messages of that writer come in. */
  messages(from: string, ...offsets: number[]): void {
    for (const offset of offsets) this.#room.dispatchEvent(Object.assign(new Event('message'), { data: { from }, offset }));
  }

  gap(): void {
    this.#room.dispatchEvent(new Event('gap'));
  }

  cut(): void {
    this.dispatchEvent(Object.assign(new Event('statechange'), { previous: { status: 'open' } }));
  }

  /** The connection is back; resolves when the position is known. */
  async back(resumed = true): Promise<void> {
    this.dispatchEvent(Object.assign(new Event('open'), { resumed, recovered: resumed }));
    await Promise.resolve();
    await Promise.resolve();
  }
}

const RECOVERED = 'good: 2 messages of others came meanwhile: recovered, in order, none missing.';

it('says nothing of messages that come one after the other', () => {
  const watched = new Watched();
  watched.messages('other', 4, 5, 6);
  expect(watched.lines).toEqual([]);
});

it.each([
  ['is missing', [4, 6], 'bad: Message 6 of the room came after message 4.'],
  ['comes again', [4, 4], 'bad: Message 4 of the room came after message 4.'],
  ['comes late', [5, 4], 'bad: Message 4 of the room came after message 5.'],
])('says when a message %s', (_, offsets, line) => {
  const watched = new Watched();
  watched.messages('other', ...offsets);
  expect(watched.lines).toEqual([line]);
});

it('says when the first message is not the next one after what was loaded', () => {
  const watched = new Watched();
  watched.watch.startsAt(3);
  watched.messages('other', 5);
  expect(watched.lines).toEqual(['bad: Message 5 of the room came after message 3.']);
});

it('counts what others wrote while the connection was away, once all of it is there', async () => {
  const watched = new Watched();
  watched.messages('other', 1, 2);
  watched.cut();
  watched.position = 5;
  await watched.back();
  watched.messages('other', 3);
  watched.messages('me', 4);
  expect(watched.lines).toEqual([]);
  watched.messages('other', 5);
  expect(watched.lines).toEqual([RECOVERED]);
  watched.messages('other', 6);
  expect(watched.lines).toEqual([RECOVERED]);
});

it('counts what came before the position was known', async () => {
  const watched = new Watched();
  watched.watch.startsAt(7);
  watched.cut();
  watched.position = 9;
  const back = watched.back();
  watched.messages('other', 8, 9);
  await back;
  expect(watched.lines).toEqual([RECOVERED]);
});

it('goes on counting after another cut in the middle', async () => {
  const watched = new Watched();
  watched.watch.startsAt(7);
  watched.cut();
  watched.position = 9;
  await watched.back();
  watched.messages('other', 8);
  watched.cut();
  await watched.back();
  watched.messages('other', 9);
  expect(watched.lines).toEqual([RECOVERED]);
});

it('expects nothing after a gap, nor in a new session', async () => {
  const watched = new Watched();
  watched.messages('other', 4);
  watched.cut();
  watched.position = 2;
  await watched.back(false);
  watched.gap();
  watched.messages('other', 1, 2);
  expect(watched.lines).toEqual([]);
});
