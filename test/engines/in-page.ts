/** What runs in the pages of the scenarios, as `window.here`: a connection, and what happens to it. */

import type { Client, ClientOptions, ReconnectingWebSocket, ReconnectingWebSocketOptions } from '../../src/index.ts';

/** Delays before the retries, the last one for all that follow; without them the default. */
interface Delays {
  readonly delays?: readonly number[];
}

/** In words and in order: `open new`, `open resumed`, `close 1006 again`, `close 1000 final`, `drop note closed`. */
export const log: string[] = [];
/** The statuses, in order, without the phases of one. */
export const states: string[] = [];
/** What the server sent: the data of its events, or the messages of the drop-in. */
export const told: unknown[] = [];
/** Seconds, by name. */
export const times: Record<string, number> = {};
/** The native sockets, in order, and the most of them that were open or opening at one time. */
export const native = { sockets: [] as WebSocket[], peak: 0 };
/** When the timer of `tick` fired. */
export const ticks: number[] = [];
/** What the Content Security Policy has prevented. */
export const violations: string[] = [];
/** Whether the page came out of the back-forward cache. */
export let persisted: boolean | undefined;
export let client: Client;
export let socket: ReconnectingWebSocket;

globalThis.WebSocket = class extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    native.sockets.push(this);
    native.peak = Math.max(native.peak, native.sockets.filter(({ readyState }) => readyState < 2).length);
  }
};
addEventListener('securitypolicyviolation', ({ violatedDirective }) => violations.push(violatedDirective));
addEventListener('pageshow', (event) => {
  persisted = event.persisted;
});

const backoff = ({ delays, ...options }: Delays & object) =>
  delays ? { ...options, backoff: (attempt: number) => delays[Math.min(attempt, delays.length) - 1] ?? 0 } : options;

/** Makes the client. */
export function connect(url: string, options: ClientOptions & Delays = {}): void {
  client = new window.Holdfast.Client(url, backoff(options));
  client.addEventListener('open', ({ resumed }) => log.push(`open ${resumed ? 'resumed' : 'new'}`));
  client.addEventListener('close', ({ code, willReconnect }) => log.push(`close ${code} ${willReconnect ? 'again' : 'final'}`));
  client.addEventListener('drop', ({ name, reason }) => log.push(`drop ${name} ${reason}`));
  client.addEventListener('statechange', ({ state, previous }) => state.status !== previous.status && states.push(state.status));
  client.on('told', (data) => told.push(data));
}

/** Makes the drop-in. */
export function dropIn(url: string, options: ReconnectingWebSocketOptions & Delays = {}): void {
  socket = new window.Holdfast.ReconnectingWebSocket(url, backoff(options));
  socket.addEventListener('open', () => log.push('open'));
  socket.addEventListener('close', ({ code, willReconnect }) => log.push(`close ${code} ${willReconnect ? 'again' : 'final'}`));
  socket.addEventListener('statechange', ({ state, previous }) => state.status !== previous.status && states.push(state.status));
  socket.addEventListener('message', ({ data }) => told.push(data));
}

/**
 * Sends the event `note` with these numbers, one every `every` milliseconds, or all in one task.
 *
 * @param bytes more than 0: so large is each
 */
export function note(from: number, to: number, every = 0, bytes = 0): void {
  if (from === to) return;
  client.send('note', bytes > 0 ? `${from} `.padEnd(bytes, '.') : from);
  if (every === 0) note(from + 1, to, every, bytes);
  else setTimeout(() => note(from + 1, to, every, bytes), every);
}

/** From each such event on: seconds until a call made right then is answered, under the name of the event; what is sent in it is told to the server. */
export function timeFrom(type: 'pageshow' | 'resume' | 'visible' | 'online'): void {
  const target = type === 'pageshow' || type === 'online' ? window : document;
  target.addEventListener(type === 'visible' ? 'visibilitychange' : type, () => {
    if (type === 'visible' && document.visibilityState !== 'visible') return;
    const since = performance.now();
    client.send('note', type);
    client.call('echo', type).then(() => {
      times[type] = (performance.now() - since) / 1_000;
    });
  });
}

/** Writes down when a timer of 100 ms fires. */
export function tick(): void {
  setInterval(() => ticks.push(performance.now()), 100);
}

/** Does nothing else for so long, as a page does that computes; in a task of its own. */
export function block(ms: number): void {
  setTimeout(() => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  });
}

/** A call, and whether the answer is the question. */
export async function isAnswered(): Promise<boolean> {
  const question = Math.random();
  return (await client.call('echo', question)) === question;
}
