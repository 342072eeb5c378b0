/** Several frames in one message: what is written in one task goes out together, in order. Deterministic: who owns it says when. */

import { bytesOf, MAX_BATCH, type Message } from './codec.ts';

/** Most bytes of a batch; a single frame may be larger. */
const MAX_BYTES = 16 * 1_024;
/** A message with more than this is announced: the other end may not hear anything for as long as it is on its way. */
const LARGE = 65_536;

/** Collects encoded frames and packs them. */
export class Batch {
  readonly #maxBytes: number;
  readonly #maxFrames: number;
  readonly #announce: ((next: number) => Message | undefined) | undefined;
  #messages: { readonly message: Message; readonly bytes: number }[] = [];
  #bytes = 0;

  /**
   * @param limit the largest message that the other side takes, in bytes
   * @param maxFrames most frames in a message; 1 for protocols that have no batches
   * @param announce a frame that says how many bytes the message has that comes next
   */
  constructor(limit: number, maxFrames: number = MAX_BATCH, announce?: (next: number) => Message | undefined) {
    this.#maxBytes = Math.min(MAX_BYTES, limit);
    this.#maxFrames = maxFrames;
    this.#announce = announce;
  }

  /** Frames waiting. */
  get size(): number {
    return this.#messages.length;
  }

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds an encoded frame and its size in bytes. */
  add(message: Message, bytes: number): void {
    const announcement = bytes > LARGE ? this.#announce?.(bytes) : undefined;
    if (announcement !== undefined) this.add(announcement, bytesOf(announcement));
    this.#bytes += bytes;
    this.#messages.push({ message, bytes });
  }

  /** Takes everything, as messages: texts side by side share one, binary ones stand alone. */
  take(): Message[] {
    const taken = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    const packed: Message[] = [];
    let open: string[] = [];
    let size = 1; // the brackets, less the comma that the first frame has not
    const seal = () => {
      const [first] = open;
      if (first !== undefined) packed.push(open.length > 1 ? `[${open.join()}]` : first);
      open = [];
      size = 1;
    };
    for (const { message, bytes } of taken) {
      if (typeof message !== 'string') {
        seal();
        packed.push(message);
        continue;
      }
      if (open.length === this.#maxFrames || size + bytes + 1 > this.#maxBytes) seal();
      open.push(message);
      size += bytes + 1;
    }
    seal();
    return packed;
  }
}
