/** The client where there is no document. */

import { deepEqual } from 'node:assert/strict';
import { Cannot, type Tab } from '../engine.ts';
import { scenario, type Trial, until } from '../scenario.ts';

type Kind = 'dedicated' | 'shared' | 'service';

interface Answer {
  readonly result: unknown;
  readonly connections: number;
}

/** Starts the worker, and leaves `window.ask`. */
async function startWorker(tab: Tab, kind: Kind, server: string): Promise<void> {
  const isThere = await tab.evaluate(
    async (kind, server) => {
      const url = `/worker.js?server=${encodeURIComponent(server)}`;
      const names = { dedicated: 'Worker', shared: 'SharedWorker', service: 'ServiceWorkerContainer' };
      if (!(names[kind] in window)) return false;
      const post = async (): Promise<(message: unknown, transfer: Transferable[]) => void> => {
        if (kind === 'dedicated') {
          const worker = new Worker(url);
          return (message, transfer) => worker.postMessage(message, transfer);
        }
        if (kind === 'shared') {
          const { port } = new SharedWorker(url);
          return (message, transfer) => port.postMessage(message, transfer);
        }
        await navigator.serviceWorker.register(url);
        const { active } = await navigator.serviceWorker.ready;
        return (message, transfer) => active?.postMessage(message, transfer);
      };
      const send = await post();
      const ask = (question: unknown) =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = ({ data }) => resolve(data);
          send(question, [port2]);
        });
      Object.assign(window, { ask });
      return true;
    },
    kind,
    server,
  );
  if (!isThere) throw new Cannot('it has none');
}

const ask = (tab: Tab, question: string) =>
  tab.evaluate((question) => (window as unknown as { ask(question: unknown): Promise<Answer> }).ask(question), question);

const answers = (kind: Kind) => async (trial: Trial) => {
  const world = await trial.world();
  const tab = await trial.open(world);
  await startWorker(tab, kind, world.proxy.url('/'));
  deepEqual(await ask(tab, 'from a worker'), { result: 'from a worker', connections: 1 });
  world.proxy.cut();
  deepEqual(await ask(tab, 'after a cut'), { result: 'after a cut', connections: 2 });
};

export const workers = [
  scenario('a client in a dedicated worker connects, and is back after a cut', answers('dedicated')),
  scenario('a client in a shared worker connects, and is back after a cut', answers('shared')),
  scenario('a client in a service worker connects, and is back after a cut', answers('service')),
  scenario(
    'a service worker that nobody asks anything: how long its connection lasts with the pings of the server, watched for 90 s',
    async (trial) => {
      const world = await trial.world();
      const tab = await trial.open(world);
      await startWorker(tab, 'service', world.proxy.url('/'));
      await ask(tab, 'hello');
      const since = performance.now();
      const { server } = world;
      await until('it has ended, or 90 s are over', () => server.connections === 0 || performance.now() - since > 90_000, 100_000);
      const lasted = `${((performance.now() - since) / 1_000).toFixed(0)} s`;
      trial.seen(
        'the connection of a service worker that nobody asks anything',
        server.connections === 0 ? `ended after ${lasted}` : `there after ${lasted}`,
      );
      // Asked again it is started again where it was ended, and connects.
      deepEqual((await ask(tab, 'again')).result, 'again');
    },
    'idle',
  ),
];
