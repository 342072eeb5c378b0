/** A message that ends the process of the server which reads it, each time: real processes, real sockets. */

import { type ChildProcess, fork } from 'node:child_process';
import { expect, it, onTestFinished } from 'vitest';
import { until } from '../support/e2e.ts';
import { join } from '../support/service.ts';

const program = new URL('../support/mortal-server.ts', import.meta.url);

/** A server in a process of its own, which is started again whenever it dies, as a supervisor does. */
class Supervisor {
  readonly notes: unknown[] = [];
  deaths = 0;
  port = 0;
  #process: ChildProcess | undefined;

  constructor() {
    onTestFinished(() => void this.#process?.removeAllListeners('exit').kill('SIGKILL'));
  }

  /** Resolves when it listens. */
  start(): Promise<void> {
    const child = fork(program, [String(this.port)], { execArgv: ['--import', 'tsx'] });
    this.#process = child;
    child.on('exit', () => {
      this.deaths++;
      void this.start();
    });
    return new Promise((resolve) => {
      child.on('message', ({ note, port }: { note?: unknown; port?: number }) => {
        if (note !== undefined) this.notes.push(note);
        if (port === undefined) return;
        this.port = port;
        resolve();
      });
    });
  }
}

it('a message that ends the process of its server is given up after the fifth; all others arrive, those of others too', async () => {
  const supervisor = new Supervisor();
  await supervisor.start();
  const url = `ws://127.0.0.1:${supervisor.port}/`;
  const [culprit, bystander] = [join(url), join(url)];
  await Promise.all([culprit.client.connect(), bystander.client.connect()]);
  const dropped = new Promise((resolve) => culprit.client.addEventListener('drop', resolve)); // five processes have to start before it
  for (let i = 1; i <= 3; i++) culprit.client.send('note', `before ${i}`);
  culprit.client.send('poison');
  const after = [1, 2, 3].map((i) => culprit.client.send('note', `after ${i}`));
  const others = [1, 2, 3].map((i) => bystander.client.send('note', `other ${i}`));
  expect(await dropped).toMatchObject({ kind: 'event', name: 'poison', reason: 'poison', error: { code: 'SESSION_LOST' } });
  await Promise.all([...after, ...others].map(({ acknowledged }) => acknowledged));
  expect(supervisor.deaths).toBe(5);
  for (const name of ['after', 'other'])
    expect(supervisor.notes.filter((note) => String(note).startsWith(name)).slice(-3)).toEqual([1, 2, 3].map((i) => `${name} ${i}`));
  expect(supervisor.notes.filter((note) => String(note).startsWith('after'))).toHaveLength(3);
  expect([culprit.client.stats.dropped, bystander.client.stats.dropped]).toEqual([1, 0]);
  culprit.client.send('note', 'the end');
  await until(() => expect(supervisor.notes.at(-1)).toBe('the end'));
  expect(supervisor.deaths).toBe(5);
});
