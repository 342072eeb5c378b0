/** The other side of a scenario: pages to open, a server for the `Client`, an echo server for the drop-in, each behind a proxy of its own. */

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { createServer, type Server, type ServerOptions } from '../../src/server/index.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type Sheet, type Site, serveSite } from '../support/pages.ts';
import { PAGES } from './pages.ts';

export interface World {
  /** The pages, and the echo server with its proxy. */
  readonly site: Site;
  /** The server of the package, without a proxy. */
  server: Server;
  /** What leads to it. */
  readonly proxy: FaultProxy;
  /** The data of every event `note`, in order; of those that were made large the number. */
  readonly notes: unknown[];
  /** Names of the channels that were asked for, in order. */
  readonly subscribed: string[];
  /** What the server complained of. */
  readonly errors: unknown[];
  /** Ends the server, with its sessions, and starts another one in its place. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startWorld(options: ServerOptions = {}): Promise<World> {
  const notes: unknown[] = [];
  const subscribed: string[] = [];
  const errors: unknown[] = [];
  const serve = async (port: number) => {
    const server = createServer({
      ...options,
      port,
      hostname: '127.0.0.1',
      onerror: (error) => errors.push(error),
      authorize: ({ action, channel }) => action !== 'subscribe' || subscribed.push(channel) > 0,
      handlers: { methods: { echo: (params) => params }, events: { note: (data) => void notes.push(numberIn(data)) } },
    });
    await server.listening;
    return server;
  };
  const site = await serveSite(await pages());
  const server = await serve(0);
  const proxy = await FaultProxy.start(server.port);
  const world: World = {
    site,
    server,
    proxy,
    notes,
    subscribed,
    errors,
    async restart() {
      const { port } = world.server;
      await world.server.close({ drain: 0 });
      world.server = await serve(port);
    },
    async stop() {
      await proxy.stop();
      await world.server.close({ drain: 0 });
      await site.stop();
    },
  };
  return world;
}

const numberIn = (data: unknown) => (typeof data === 'string' && data.endsWith('.') ? Number.parseInt(data, 10) : data);

/** All that is served. */
export async function pages(): Promise<Record<string, Sheet>> {
  return { ...PAGES, '/here.js': await inPage() };
}

/** The page's side, as a script. `__name` is what a build may have put around the functions that are sent to a page. */
function inPage(): Promise<Sheet> {
  script ??= build({
    entryPoints: [fileURLToPath(new URL('./in-page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'here',
    target: 'es2022',
    banner: { js: 'globalThis.__name = (named) => named;' },
  }).then(({ outputFiles }) => ({ script: outputFiles[0]?.text ?? '' }));
  return script;
}

let script: Promise<Sheet> | undefined;
