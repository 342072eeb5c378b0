/** Finds the frames of a WebSocket in a stream of bytes (RFC 6455, section 5.2), and knows at every byte whether it is inside one. */

/** Where a stream of bytes stands: in the HTTP part, inside the first message, inside a later frame, or right between two frames. */
export type Place = 'http' | 'opening' | 'frame' | 'between';

/** A whole message: text or bytes. */
export type Message = string | Buffer;

interface Header {
  readonly isLast: boolean;
  readonly opcode: number;
  readonly mask: Buffer | undefined;
  readonly length: number;
}

const EMPTY: Buffer = Buffer.alloc(0);
const END_OF_HTTP = '\r\n\r\n';

export class FrameReader {
  readonly #hear: ((message: Message) => void) | undefined;
  #isHttp: boolean;
  /** Bytes of what is not complete: the HTTP part, a header, or a payload that somebody wants to hear. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #header: Header | undefined;
  /** Bytes of the payload that have not come yet. */
  #missing = 0;
  #fragments: Buffer[] = [];
  #isText = true;
  #frames = 0;

  /**
   * @param options.http whether an HTTP request or response comes first
   * @param options.hear called with every data message; without it payloads are not kept
   */
  constructor({ http, hear }: { readonly http: boolean; readonly hear?: (message: Message) => void }) {
    this.#isHttp = http;
    this.#hear = hear;
  }

  /** Where the stream stands after the bytes that were read. */
  get place(): Place {
    if (this.#isHttp) return 'http';
    if (!this.#header && this.#pendingBytes === 0) return 'between';
    return this.#frames === 0 ? 'opening' : 'frame';
  }

  /** The next bytes. */
  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#isHttp ? this.#http(rest) : this.#header ? this.#payload(rest) : this.#head(rest);
  }

  #http(chunk: Buffer): Buffer {
    const bytes = this.#with(chunk);
    const end = bytes.indexOf(END_OF_HTTP);
    if (end < 0) return EMPTY;
    this.#isHttp = false;
    this.#clear();
    return bytes.subarray(end + END_OF_HTTP.length);
  }

  #head(chunk: Buffer): Buffer {
    const bytes = this.#with(chunk);
    if (bytes.length < 2) return EMPTY;
    const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)];
    const short = second & 0x7f;
    const start = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    const size = start + (second & 0x80 ? 4 : 0);
    if (bytes.length < size) return EMPTY;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    const mask = second & 0x80 ? Buffer.from(bytes.subarray(start, size)) : undefined;
    this.#header = { isLast: (first & 0x80) !== 0, opcode: first & 0x0f, mask, length };
    this.#missing = length;
    this.#clear();
    if (length === 0) this.#complete(EMPTY);
    return bytes.subarray(size);
  }

  #payload(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.#missing);
    this.#missing -= part.length;
    if (this.#hear) this.#with(part);
    if (this.#missing === 0) {
      const payload = this.#hear ? Buffer.concat(this.#pending) : EMPTY;
      this.#clear();
      this.#complete(payload);
    }
    return chunk.subarray(part.length);
  }

  #complete(payload: Buffer): void {
    const { isLast, opcode, mask } = this.#header as Header;
    this.#header = undefined;
    this.#frames++;
    if (!this.#hear || opcode >= 8) return; // control frames may come between the fragments of a message
    if (opcode !== 0) this.#isText = opcode === 1;
    this.#fragments.push(mask ? unmasked(payload, mask) : payload);
    if (!isLast) return;
    const message = Buffer.concat(this.#fragments);
    this.#fragments = [];
    this.#hear(this.#isText ? message.toString() : message);
  }

  #with(chunk: Buffer): Buffer {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#header || this.#pending.length === 1) return chunk; // a payload is put together once, at its end
    this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0] as Buffer;
  }

  #clear(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  const result = Buffer.from(payload);
  for (let i = 0; i < result.length; i++) result[i] = (result[i] as number) ^ (mask[i & 3] as number);
  return result;
}
