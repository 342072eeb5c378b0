/** The page's judgement of itself: is every message in the room, once, and does the server say the same? */

import { count } from './words.ts';

/** What has become of a message that was typed here. `unsure`: it was written, and the connection was lost before the server confirmed it. */
export type Fate = 'waiting' | 'sent' | 'unsure' | 'arrived' | 'dropped';

/** A message that was typed here. */
export interface Entry {
  readonly id: string;
  readonly text: string;
  fate: Fate;
  /** How often it was published. */
  tries: number;
}

export interface Tally {
  readonly typed: number;
  readonly waiting: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** In the room, by whomever. */
  readonly received: number;
  readonly again: number;
  readonly dropped: number;
}

export interface Verdict {
  readonly kind: 'good' | 'wait' | 'bad';
  readonly sentence: string;
}

/** @param received messages in the room, by whomever */
export function tally(entries: Iterable<Entry>, received: number): Tally {
  const all = [...entries];
  const having = (...fates: Fate[]) => all.filter(({ fate }) => fates.includes(fate)).length;
  return {
    typed: all.length,
    waiting: having('waiting'),
    sent: having('sent', 'unsure', 'arrived'),
    acknowledged: having('arrived'),
    received,
    again: all.reduce((sum, { tries }) => sum + Math.max(0, tries - 1), 0),
    dropped: having('dropped'),
  };
}

/**
 * @param shown how many of the messages typed here are in the room
 * @param counted how many the server counts; undefined while it has not been asked since the last change
 * @param canAsk whether there is a connection to ask it on
 */
export function judge(
  { typed, waiting, acknowledged, dropped }: Tally,
  shown: number,
  counted: number | undefined,
  canAsk = true,
): Verdict {
  const onTheWay = typed - acknowledged - dropped - waiting;
  const kept = typed - dropped;
  if (waiting > 0) return { kind: 'wait', sentence: `${count(waiting, 'message waits', 'messages wait')} for a connection.` };
  if (onTheWay > 0) return { kind: 'wait', sentence: `${count(onTheWay, 'message is', 'messages are')} on the way.` };
  if (typed === 0) return { kind: 'good', sentence: 'Nothing sent yet.' };
  const said = `${count(dropped, 'message was', 'messages were')} dropped, and said so`;
  if (kept === 0) return { kind: 'bad', sentence: `${said}.` };
  if (counted === undefined && !canAsk)
    return dropped > 0
      ? { kind: 'bad', sentence: `${said}; the other ${kept} were confirmed.` }
      : { kind: 'good', sentence: typed === 1 ? 'Your message was confirmed.' : `All ${typed} messages were confirmed.` };
  if (counted === undefined) return { kind: 'wait', sentence: 'All confirmed. Asking the server to count…' };
  if (counted !== kept || shown !== kept)
    return { kind: 'bad', sentence: `${kept} were confirmed, but the server has ${counted} and the room shows ${shown}.` };
  if (dropped > 0) return { kind: 'bad', sentence: `${said}; the other ${kept} arrived.` };
  return { kind: 'good', sentence: typed === 1 ? 'Your message arrived, once.' : `All ${typed} messages arrived, each once.` };
}
