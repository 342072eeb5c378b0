/** The numbers of frames: checked, and taken off, so that a test can say what the frames are without them. */

import { expect } from 'vitest';
import { type Frame, framesIn, type LinkSocket } from './link.ts';

/** What has a number wherever there is a session. */
const ALWAYS = ['request', 'cancel', 'item', 'end', 'credit', 'chunk', 'finish', 'grant', 'skip'];
/** What may have one: an event may be volatile, an answer may be one to a subscription. */
const SOMETIMES = ['event', 'publish', 'response', 'error'];

/**
 * All the frames that one end wrote on a connection, without their numbers. They have to be those that are due: one after the other, on every
 * frame that must have one, and on none that must not.
 *
 * @param frames from the beginning of the connection
 * @param first the first number; undefined where there is no session, and no frame may have one
 */
export function withoutNumbers(frames: readonly Frame[], first: number | undefined): Frame[] {
  let next = first;
  return frames.map(({ seq, ...frame }) => {
    const is = next !== undefined && (ALWAYS.includes(frame.type) || (SOMETIMES.includes(frame.type) && seq !== undefined));
    expect(seq, JSON.stringify(frame)).toBe(is ? next : undefined);
    if (is && next !== undefined) next++;
    return frame as Frame;
  });
}

/** The same for a link: where the numbers have to begin is what hello and welcome say. */
export function saidBy(end: 'client' | 'server', socket: LinkSocket): Frame[] {
  const [sent, received] = [socket.sent.flatMap(framesIn), socket.received.flatMap(framesIn)];
  const hello = sent.find(({ type }) => type === 'hello')?.['resume'] as { readonly received: number } | undefined;
  const welcome = received.find(({ type }) => type === 'welcome');
  const arrived = Number(end === 'client' ? welcome?.['received'] : hello?.received);
  const before = welcome?.['resumed'] ? arrived : 0;
  return withoutNumbers(end === 'client' ? sent : received, welcome?.['session'] === undefined ? undefined : before + 1);
}
