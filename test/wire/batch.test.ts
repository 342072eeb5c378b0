import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8Length } from '../../src/core/queue.ts';
import { Batch } from '../../src/wire/batch.ts';
import { MAX_BATCH, type Message } from '../../src/wire/codec.ts';

const KIB = 1_024;
const sizeOf = (message: Message) => (typeof message === 'string' ? utf8Length(message) : message.length);

function packed(messages: readonly Message[], limit = Infinity, maxFrames?: number): Message[] {
  const batch = new Batch(limit, maxFrames);
  for (const message of messages) batch.add(message, sizeOf(message));
  expect(batch.size).toBe(messages.length);
  const result = batch.take();
  expect(batch.size).toBe(0);
  return result;
}

/** A frame of exactly so many bytes. */
const frame = (size: number, fill = 'x') => `{"f":"${fill.repeat((size - 8) / utf8Length(fill))}"}`;
const frames = (count: number) => Array.from({ length: count }, (_, i) => `{"i":${i}}`);
const isBatch = (message: Message): message is string => typeof message === 'string' && message.startsWith('[');
const unpacked = (messages: readonly Message[]): Message[] =>
  messages.flatMap<Message>((message) =>
    isBatch(message) ? (JSON.parse(message) as unknown[]).map((each) => JSON.stringify(each)) : [message],
  );

describe('a batch', () => {
  it('of nothing is no message', () => {
    expect(packed([])).toEqual([]);
  });

  it('of one frame is that frame, without brackets', () => {
    expect(packed(['{"a":1}'])).toEqual(['{"a":1}']);
  });

  it('of several is an array, in order', () => {
    expect(packed(['{"a":1}', '{"b":2}', '{"c":3}'])).toEqual(['[{"a":1},{"b":2},{"c":3}]']);
  });

  it('is empty again once it was taken', () => {
    const batch = new Batch(Infinity);
    batch.add('{"a":1}', 7);
    expect(batch.take()).toEqual(['{"a":1}']);
    expect(batch.take()).toEqual([]);
    batch.add('{"b":2}', 7);
    expect(batch.take()).toEqual(['{"b":2}']);
  });

  it('holds 64 frames, and the next one goes into the next', () => {
    expect(packed(frames(64))).toEqual([`[${frames(64).join()}]`]);
    const two = packed(frames(65));
    expect(two).toEqual([`[${frames(64).join()}]`, '{"i":64}']);
    expect(packed(frames(130)).map((message) => (isBatch(message) ? JSON.parse(message).length : 1))).toEqual([64, 64, 2]);
  });

  it('has 16 KiB at most, brackets and commas included', () => {
    const exactly = [frame(8 * KIB), frame(8 * KIB - 3)];
    expect(packed(exactly).map(sizeOf)).toEqual([16 * KIB]);
    expect(packed([frame(8 * KIB), frame(8 * KIB - 2)]).map(sizeOf)).toEqual([8 * KIB, 8 * KIB - 2]);
  });

  it('counts bytes, not characters', () => {
    const euros = frame(8 + 3 * 2_000, '€');
    expect(packed([euros, euros]).map(sizeOf)).toEqual([2 * 6_008 + 3]);
    expect(packed([euros, euros, euros]).map(sizeOf)).toEqual([2 * 6_008 + 3, 6_008]);
  });

  it('lets a larger frame go alone', () => {
    const large = frame(100 * KIB);
    expect(packed(['{"a":1}', large, '{"b":2}', '{"c":3}'])).toEqual(['{"a":1}', large, '[{"b":2},{"c":3}]']);
  });

  it('is no larger than the other side takes', () => {
    expect(packed([frame(50), frame(47)], 100).map(sizeOf)).toEqual([100]);
    expect(packed([frame(50), frame(48)], 100).map(sizeOf)).toEqual([50, 48]);
    expect(packed([frame(100), frame(100)], 100).map(sizeOf)).toEqual([100, 100]);
  });

  it('lets binary frames stand alone, in their place', () => {
    const binary = (value: number) => new Uint8Array([value]);
    expect(packed([binary(1), '{"a":1}', '{"b":2}', binary(2), binary(3), '{"c":3}'])).toEqual([
      binary(1),
      '[{"a":1},{"b":2}]',
      binary(2),
      binary(3),
      '{"c":3}',
    ]);
  });

  it('is never made where a message has one frame', () => {
    expect(packed(frames(100), Infinity, 1)).toEqual(frames(100));
  });

  it('unpacked is what was packed, whatever that was, and no message is against the rules', { timeout: 60_000 }, () => {
    const text = fc.string({ maxLength: 40, unit: 'binary' }).map((value) => JSON.stringify({ value }));
    const large = fc.integer({ min: 20, max: 20_000 }).map((size) => frame(size));
    const binary = fc.uint8Array({ maxLength: 5 }).map((bytes) => new Uint8Array(bytes));
    const message = fc.oneof({ weight: 6, arbitrary: text }, { weight: 1, arbitrary: large }, { weight: 1, arbitrary: binary });
    const limit = fc.constantFrom(1, 64, 1_000, 16 * KIB, Infinity);
    const count = fc.constantFrom(1, 2, 7, MAX_BATCH);
    fc.assert(
      fc.property(fc.array(message, { maxLength: 200, size: 'max' }), limit, count, (messages, limit, maxFrames) => {
        const result = packed(messages, limit, maxFrames);
        expect(unpacked(result)).toEqual(messages);
        for (const batch of result.filter(isBatch)) {
          const { length } = JSON.parse(batch) as unknown[];
          expect(length).toBeGreaterThan(1);
          expect(length).toBeLessThanOrEqual(maxFrames);
          expect(sizeOf(batch)).toBeLessThanOrEqual(Math.min(limit, 16 * KIB));
        }
        // No more messages than needed: neighbours would not have fitted together.
        for (const [i, message] of result.entries()) {
          const next = result[i + 1];
          if (typeof message !== 'string' || typeof next !== 'string') continue;
          const [first = next] = unpacked([next]);
          const here = unpacked([message]).length;
          const together = sizeOf(message) + sizeOf(first) + (here > 1 ? 1 : 3);
          expect(here === maxFrames || together > Math.min(limit, 16 * KIB)).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });
});
