/**
 * The session of a client, and the one after it: its name and secret, the frames that survive a connection, and what becomes of them when
 * the session itself is lost.
 */

import type { Posting } from './caller.ts';
import { GIVEN_UP } from './core/suspects.ts';
import { ProtocolError, SessionLostError } from './errors.ts';
import { GapError, Line, type LineHost, type Way } from './line.ts';
import type { Numbered, Resume, ServerFrame } from './wire/frames.ts';
import type { Opened, SessionGrant } from './wire/protocol.ts';

/** What the session needs of the client. */
export interface SessionHost extends LineHost {
  /** Whether what was not acknowledged in a session that is lost is sent again. */
  readonly resends: boolean;
  /** The line of the session from now on; undefined while there is none. */
  use(line: Line | undefined): void;
  /** The server has received more than was known. */
  acknowledged(): void;
  /** Nothing that was asked will be answered. Returns what is to be asked once more, if anything may be, in order. */
  lost(mayAsk: boolean): readonly Posting[];
  /** Counts a lost session against what would be written again. True when it is to be given up. */
  blame(posting: Posting): boolean;
  /** Puts back into the outbox what was written, ahead of everything, in this order. */
  readmit(postings: readonly Posting[]): void;
  /** Who was there is somebody else now: what waits, and what is shown of them, is not theirs. */
  replaced(): void;
  /** Does something when nothing is under way: the user's code may have its say in it. */
  later(deed: () => void): void;
}

/** Frames that say how far the server is. */
const TELLING: readonly string[] = ['ack', 'ping', 'pong', 'bye'];
/** Frames that have a number wherever there is a session. */
const TRACKED: readonly string[] = ['request', 'cancel', 'item', 'end', 'credit', 'grant'];

export class ClientSession {
  readonly #host: SessionHost;
  #grant: SessionGrant | undefined;
  /** Who the server took us for on the connection before; undefined where there was none. */
  #identity: { readonly is: string | undefined } | undefined;
  #line: Line | undefined;
  #generation = 0;
  /** Frames that were written again in sessions that are over. */
  #again = 0;

  constructor(host: SessionHost) {
    this.#host = host;
  }

  /** Whether there is one. */
  get exists(): boolean {
    return this.#line !== undefined;
  }

  /** How many frames are written and not acknowledged, and their bytes. */
  get unacknowledged(): { readonly frames: number; readonly bytes: number } {
    return this.#line?.unacknowledged ?? { frames: 0, bytes: 0 };
  }

  /** Whether bytes are among what is not acknowledged. */
  get hasBinary(): boolean {
    return this.#line?.hasBinary === true;
  }

  /** Frames that were written again, on another connection. */
  get resent(): number {
    return this.#again + (this.#line?.again ?? 0);
  }

  /** For a hello that is written now: undefined where there is nothing to go on with. */
  resume(): Resume | undefined {
    if (!this.#line || !this.#grant) return undefined;
    const { session, key } = this.#grant;
    return { session, key, generation: ++this.#generation, received: this.#line.received };
  }

  /** How far we are, for a frame that is written now. */
  received(): { readonly received?: number } {
    return this.#line ? { received: this.#line.tell() } : {};
  }

  /**
   * Goes on, or begins anew, as the server says.
   *
   * @param suspicion whether something that was sent may have been too large for the way
   * @throws GapError when the server goes on with another session than was asked for, or says that it received what it cannot have
   */
  agree({ session: grant, resumed, identity }: Opened, way: Way, suspicion: boolean): void {
    const isAnother = this.#identity !== undefined && this.#identity.is !== identity;
    this.#identity = { is: identity };
    if (resumed) {
      if (!this.#line) throw new ProtocolError('The server goes on with a session that was not asked for');
      const goesOn = grant?.session === this.#grant?.session && this.#line.resume(grant?.received ?? 0, way);
      // Where nothing that is left can be to blame, all of it is: the same would happen again.
      if (goesOn && (!suspicion || this.#line.unacknowledged.frames === 0 || this.#line.blame(true))) return;
      this.lose(true);
      throw new GapError('The session cannot go on');
    }
    // Somebody else is signed in than the session belongs to: nothing of the one before goes out under another name.
    const isStranger = isAnother || grant?.error?.code === 'identity';
    if (suspicion) this.#line?.blame(false); // it would be written again, and end the next connection too
    if (this.#line) this.lose(!isStranger);
    if (isStranger) this.#host.later(() => this.#host.replaced());
    this.#grant = grant;
    this.#generation = 0;
    this.#line = grant && new Line(this.#host, way);
    this.#host.use(this.#line);
  }

  /** Somebody else is to be spoken for, who has nothing to lose yet. */
  forget(): void {
    this.#identity = undefined;
  }

  /** The connection is gone. */
  detach(): void {
    this.#line?.detach();
  }

  /** It is over: what can be sent again goes back to the outbox, in old order, and the rest is lost, and told so. */
  lose(mayAsk: boolean): void {
    const host = this.#host;
    const unacknowledged = this.#end();
    const asked = host.lost(mayAsk);
    const known = new Set(unacknowledged);
    const again = new Set(asked);
    const lost = new SessionLostError('The session was lost before it was acknowledged: it may have arrived or not', true);
    const back: Posting[] = [];
    for (const posting of [...asked.filter((each) => !known.has(each)), ...unacknowledged]) {
      if (again.has(posting) || (posting.kind === 'event' && mayAsk && host.resends)) {
        if (host.blame(posting)) host.later(() => posting.dropped('poison', poisoned()));
        else back.push(posting);
      } else if (posting.kind === 'event') host.later(() => posting.dropped('session-lost', lost));
    }
    host.readmit(back);
  }

  /** There will be no other: what became of what is not acknowledged will not be known. */
  giveUp(error: Error): void {
    for (const posting of this.#end()) posting.unknown?.(error);
  }

  /**
   * Whether a frame is to be handled; what it acknowledges is.
   *
   * @param bytes of the message that it came in, once for each message
   * @param isDirect whether it answers what belongs to its connection; undefined where it answers nothing
   * @throws ProtocolError when it has a number and must not have one, or the other way round, or when one before it is missing
   */
  takes(frame: ServerFrame, bytes: number, isDirect: boolean | undefined): boolean {
    const { type } = frame;
    const { seq, received } = frame as Numbered & { readonly received?: number | null };
    if (!this.#line) {
      if (typeof seq === 'number' && type !== 'skip')
        throw new ProtocolError(`A frame of type ${type} has a number, and there is no session`);
      return true;
    }
    if (typeof received === 'number' && TELLING.includes(type) && this.#line.acknowledge(received)) this.#host.acknowledged();
    if (typeof seq !== 'number') {
      if (TRACKED.includes(type) || isDirect === false) throw new ProtocolError(`A frame of type ${type} has no number`);
      return true;
    }
    if (isDirect) throw new ProtocolError(`A frame of type ${type} has a number, and answers what has none`);
    return this.#line.receive(seq, bytes);
  }

  /** Returns what was written and is not acknowledged. */
  #end(): Posting[] {
    const line = this.#line;
    for (const tell of line?.news() ?? []) this.#host.later(tell);
    this.#again += line?.again ?? 0;
    this.#line = this.#grant = undefined;
    this.#host.use(undefined);
    return line?.end() ?? [];
  }
}

function poisoned(): SessionLostError {
  return new SessionLostError(
    `The session was lost ${GIVEN_UP} times when it was written: it is given up, and may be what breaks the server`,
    true,
  );
}
