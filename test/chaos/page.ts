/** What runs in the page: the client's end, which writes down what happens to it. */

import type { Client } from '../../src/index.ts';
import { ClientEnd } from './client-end.ts';
import type { Load } from './load.ts';
import { clientRecorder, type Entry } from './testimony.ts';

let entries: Entry[] = [];
let end: ClientEnd | undefined;

/** The client's end, for whoever drives the page. */
export function connect(url: string, seed: number, load: Load): void {
  const { Client } = (globalThis as unknown as { readonly Holdfast: { readonly Client: new () => Client } }).Holdfast;
  const platform = { Client, open: (where: string, protocols: string[]) => new WebSocket(where, protocols) };
  end = new ClientEnd(url, seed, load, platform, (attempt) => clientRecorder((entry) => entries.push(entry), attempt));
}

/** How it looks, and what has happened since the last time. */
export function look() {
  const news = entries;
  entries = [];
  return { sight: end?.look(), entries: news };
}

export function probe(): void {
  end?.probe();
}

export function rest(): void {
  end?.rest();
}

export function close(): Promise<void> | undefined {
  return end?.close();
}
