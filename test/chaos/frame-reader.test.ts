import { describe, expect, it } from 'vitest';
import { Random } from '../simulation/random.ts';
import { FrameReader, type Message } from './frame-reader.ts';

const TEXT = 1;
const BINARY = 2;
const PING = 9;

/** One frame (RFC 6455, section 5.2), masked as a client does it where there is a mask. */
function frame(opcode: number, payload: Buffer, { mask, isLast = true }: { mask?: Buffer; isLast?: boolean } = {}): Buffer {
  const { length } = payload;
  const size = Buffer.alloc(length < 126 ? 1 : length < 65_536 ? 3 : 9);
  if (length < 126) size.writeUInt8(length);
  else if (length < 65_536) size.writeUIntBE(126 * 65_536 + length, 0, 3);
  else {
    size.writeUInt8(127);
    size.writeBigUInt64BE(BigInt(length), 1);
  }
  if (mask) size.writeUInt8(size.readUInt8(0) | 0x80);
  const body = mask ? payload.map((byte, i) => byte ^ (mask[i % 4] as number)) : payload;
  return Buffer.concat([Buffer.from([(isLast ? 0x80 : 0) | opcode]), size, mask ?? Buffer.alloc(0), body]);
}

/** What is heard when the bytes come in pieces of that size. */
function heard(bytes: Buffer, pieces: () => number): Message[] {
  const messages: Message[] = [];
  const reader = new FrameReader({ http: true, hear: (message) => messages.push(message) });
  for (let at = 0; at < bytes.length; ) {
    const next = at + pieces();
    reader.read(Buffer.from(bytes.subarray(at, next)));
    at = next;
  }
  return messages;
}

const HTTP = Buffer.from('GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n');
const MASK = Buffer.from([1, 0x80, 0, 0xff]);

describe('the frame reader', () => {
  const texts = [0, 1, 125, 126, 65_535, 65_536, 7].map((length) => 'é'.repeat(length >> 1) + 'x'.repeat(length & 1));
  const stream = Buffer.concat([
    HTTP,
    ...texts.flatMap((text) => [frame(TEXT, Buffer.from(text), { mask: MASK }), frame(PING, Buffer.from('?'))]),
    frame(BINARY, Buffer.from([1, 2]), { isLast: false }),
    frame(PING, Buffer.alloc(0)),
    frame(0, Buffer.from([3]), { isLast: false, mask: MASK }),
    frame(0, Buffer.alloc(0)),
  ]);

  it.each([
    ['all at once', () => () => stream.length],
    ['byte by byte', () => () => 1],
    ['in pieces of any size', () => (random: Random) => random.between(1, 3_000)],
  ])('hears the same messages when the bytes come %s', (_, size) => {
    const random = new Random(1);
    expect(heard(stream, () => size()(random))).toEqual([...texts, Buffer.from([1, 2, 3])]);
  });

  it('knows at every byte where it is', () => {
    const first = frame(TEXT, Buffer.from('hello'), { mask: MASK });
    const second = frame(TEXT, Buffer.alloc(200, 'x'));
    const reader = new FrameReader({ http: true });
    const places = [...HTTP, ...first, ...second].map((byte) => {
      reader.read(Buffer.from([byte]));
      return reader.place;
    });
    expect(places).toEqual([
      ...Array(HTTP.length - 1).fill('http'),
      'between',
      ...Array(first.length - 1).fill('opening'),
      'between',
      ...Array(second.length - 1).fill('frame'),
      'between',
    ]);
  });
});
