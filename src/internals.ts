/**
 * What functions that belong to a client, and are not methods of it, work with: whoever does not import them does not load them. Nobody else
 * gets hold of it.
 */

import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import type { Conversation } from './conversation.ts';

const internals = new WeakMap<object, Conversation>();
const connections = new WeakMap<object, Connection>();

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

/** Whether it is a client, and no socket. */
export function isClient(target: object): boolean {
  return internals.has(target);
}

/** Makes the connection of a client or socket known. */
export function registerConnection(target: object, connection: Connection): void {
  connections.set(target, connection);
}

/** @throws TypeError at what is neither */
export function connectionOf(target: object, where: string): Connection {
  const connection = Object(target) === target ? connections.get(target) : undefined;
  if (!connection) throw new TypeError(`${where}() takes a Client or a ReconnectingWebSocket first`);
  return connection;
}
