/** The page's judgement of itself: is every message in the room, once and in order, and does the server say the same? */

import type { Arrivals } from './contract.ts';
import { count } from './words.ts';

/** What has become of a message that was typed here, as its receipt says. `in doubt`: it was written, and then the page was left or closed. */
export type Fate = 'queued' | 'sent' | 'in doubt' | 'acknowledged' | 'dropped';

/** A message that was typed here. */
export interface Entry {
  readonly id: string;
  /** The count of messages typed here up to this one. */
  readonly number: number;
  /** The server publishes it once for this key, as long as it remembers. */
  readonly key: string;
  readonly text: string;
  fate: Fate;
  /** Whether it was sent again since a session was lost. */
  again: boolean;
}

export interface Tally {
  readonly typed: number;
  readonly waiting: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** In the room, by whomever. */
  readonly received: number;
  /** What was written again: frames in a session that went on, messages in a new one. */
  readonly again: number;
  readonly dropped: number;
}

export interface Verdict {
  readonly kind: 'good' | 'wait' | 'bad';
  readonly sentence: string;
}

/** What the counters have to agree with. */
export interface Evidence {
  /** How many of the messages typed here are in the room. */
  readonly shown: number;
  /** What the server counts; undefined while it has not been asked since the last change. */
  readonly counted: Arrivals | undefined;
  /** Whether there is a connection. */
  readonly isOpen: boolean;
  /** Whether messages were sent again without a session, so that some may have come twice. */
  readonly mayRepeat: boolean;
}

/**
 * @param received messages in the room, by whomever
 * @param again what was written again
 */
export function tally(entries: Iterable<Entry>, received: number, again: number): Tally {
  const all = [...entries];
  const having = (...fates: Fate[]) => all.filter(({ fate }) => fates.includes(fate)).length;
  return {
    typed: all.length,
    waiting: having('queued'),
    sent: having('sent', 'in doubt', 'acknowledged'),
    acknowledged: having('acknowledged'),
    received,
    again,
    dropped: having('dropped'),
  };
}

export function judge({ typed, waiting, acknowledged, dropped }: Tally, evidence: Evidence): Verdict {
  const { counted, isOpen } = evidence;
  const onTheWay = typed - acknowledged - dropped - waiting;
  const kept = typed - dropped;
  if (waiting > 0)
    return {
      kind: 'wait',
      sentence: `${count(waiting, 'message waits', 'messages wait')} ${isOpen ? 'behind others' : 'for a connection'}.`,
    };
  if (onTheWay > 0) return { kind: 'wait', sentence: `${count(onTheWay, 'message is', 'messages are')} on the way.` };
  if (typed === 0) return { kind: 'good', sentence: 'Nothing sent yet.' };
  const said = `${count(dropped, 'message was', 'messages were')} dropped, and said so`;
  if (kept === 0) return { kind: 'bad', sentence: `${said}.` };
  if (counted === undefined && !isOpen)
    return dropped > 0
      ? { kind: 'bad', sentence: `${said}; ${kept} ${kept === 1 ? 'was' : 'were'} acknowledged.` }
      : { kind: 'good', sentence: typed === 1 ? 'Your message was acknowledged.' : `All ${typed} messages were acknowledged.` };
  if (counted === undefined) return { kind: 'wait', sentence: 'All acknowledged. Asking the server to count…' };
  return (
    objection(kept, counted, evidence) ??
    (dropped > 0 ? { kind: 'bad', sentence: `${said}; the other ${kept} arrived.` } : { kind: 'good', sentence: praise(typed, counted) })
  );
}

/** What is not as it was promised. */
function objection(kept: number, { messages, again, late }: Arrivals, { shown, mayRepeat }: Evidence): Verdict | undefined {
  const bad = (sentence: string) => ({ kind: 'bad', sentence }) as const;
  if (messages !== kept || shown !== kept)
    return bad(`${kept} were acknowledged, but the server has ${messages} and the room shows ${shown}.`);
  if (late > 0) return bad(`All ${kept} arrived, but ${late} of them out of order.`);
  if (again > 0 && !mayRepeat) return bad(`All ${kept} arrived, but ${again} of them came twice.`);
  return undefined;
}

function praise(typed: number, { again }: Arrivals): string {
  if (again > 0 && typed === 1) return 'Your message arrived, and again, as the server had forgotten it.';
  if (again > 0) return `All ${typed} messages arrived; ${again} came again, as the server had forgotten them.`;
  return typed === 1 ? 'Your message arrived, once.' : `All ${typed} messages arrived, each once, in order.`;
}
