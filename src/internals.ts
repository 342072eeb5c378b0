/**
 * What functions that belong to a client, and are not methods of it, work with: whoever does not import them does not load them. Nobody else
 * gets hold of it.
 */

import type { Client } from './client.ts';
import type { Conversation } from './conversation.ts';

const internals = new WeakMap<object, Conversation>();

/** Makes the conversation of a client known. */
export function register(client: object, conversation: Conversation): void {
  internals.set(client, conversation);
}

/** @throws TypeError at what is no client */
export function conversationOf(client: Pick<Client, 'state'>, where: string): Conversation {
  const conversation = internals.get(client);
  if (!conversation) throw new TypeError(`${where}() takes a Client first`);
  return conversation;
}
