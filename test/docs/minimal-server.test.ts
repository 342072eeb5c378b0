/** The server of docs/minimal-server.md: the client works with it, and it keeps the protocol as far as it goes. */

import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RawData, WebSocketServer } from 'ws';
import { UnsupportedError } from '../../src/index.ts';
import { everyBlockIsRun } from '../support/code-blocks.ts';
import { once, until } from '../support/e2e.ts';
import { FakeLifecycle } from '../support/face.ts';
import { type CodeBlock, codeBlock, codeBlocks } from '../support/read-document.ts';
import { remoteServer } from '../support/remote-server.ts';
import { replay } from '../support/replay.ts';
import { run } from '../support/run-block.ts';
import { heard, join, raw } from '../support/service.ts';
import { subject } from '../support/vector-subjects.ts';
import { type Fields, readVectors, type Step, type Vector } from '../support/vectors.ts';

const document = 'docs/minimal-server.md';
const block = () => codeBlock(document, 'The server #1');
const HELLO = {
  type: 'hello',
  version: 1,
  features: ['calls', 'channels', 'binary'],
  limits: { message: 65_536, window: 256 },
  attempt: 0,
};
/** A heart that beats so often that a test can see it, and a silence that a busy machine does not make by itself. */
const quick = { 'interval: 15_000, timeout: 5_000': 'interval: 100, timeout: 900' };

interface Running {
  readonly server: WebSocketServer;
  /** Those who were welcomed and have not gone. */
  readonly everybody: ReadonlyMap<unknown, unknown>;
  readonly url: string;
}

/** Runs it on any free port, until the test is over. */
async function start(code: CodeBlock = block(), replace: Readonly<Record<string, string>> = {}, globals = {}): Promise<Running> {
  const onFreePort = { 'port: 8080': "port: 0, host: '127.0.0.1'" };
  const { server, everybody } = await run<Omit<Running, 'url'>>(code, { replace: { ...onFreePort, ...replace }, globals });
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
  });
  if (!server.address()) await once(server, 'listening');
  return { server, everybody, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

everyBlockIsRun(document, {
  'The server #1': async (code) => {
    expect(code.code.split('\n').length).toBeLessThan(60);
    expect(code.code.match(/from '(.*?)'/g)).toEqual(["from 'ws'"]);
    const { url } = await start(code);
    const [ada, grace] = [join(url), join(url)];
    await Promise.all([ada.client.connect(), grace.client.connect()]);
    const got: unknown[] = [];
    for (const { client } of [ada, grace]) client.on('note', (data) => void got.push(data));
    ada.client.send('note', { text: 'ü' });
    await until(() => expect(got).toEqual([{ text: 'ü' }, { text: 'ü' }]));
    expect([ada.log, grace.log]).toEqual([['open'], ['open']]);
  },
});

describe('the client', () => {
  it('finds no feature, and says so where one is asked for', async () => {
    const { client } = join((await start()).url);
    await client.connect();
    expect(Object.entries(client.capabilities).filter(([, has]) => has)).toEqual([]);
    await expect(client.call('add')).rejects.toBeInstanceOf(UnsupportedError);
    await expect(client.channel('room').subscribe().ready).rejects.toBeInstanceOf(UnsupportedError);
    expect(() => client.send('note', new Uint8Array(1))).toThrow(UnsupportedError);
    expect(client.state.status).toBe('open');
  });

  it('sends what is written in one task in one message, and gets it back in order', async () => {
    const { server, url } = await start();
    const { client } = join(url);
    await client.connect();
    const got: unknown[] = [];
    client.on('note', (data) => void got.push(data));
    const messages: string[] = [];
    for (const socket of server.clients) socket.on('message', (data: RawData) => messages.push(String(data)));
    for (const data of [1, 2, 3]) client.send('note', data);
    await until(() => expect(got).toEqual([1, 2, 3]));
    expect(messages.map((message) => (JSON.parse(message) as unknown[]).length)).toEqual([3]);
  });

  it('comes back after a cut, with what it was given meanwhile', async () => {
    const { server, url } = await start();
    const { client, log } = join(url);
    await client.connect();
    const got: unknown[] = [];
    client.on('note', (data) => void got.push(data));
    const lost = heard(client, 'close');
    for (const socket of server.clients) socket.terminate();
    await lost;
    client.send('note', 'kept');
    await until(() => expect(got).toEqual(['kept']));
    expect(log).toEqual(['open', 'close 1006 again', 'open']);
  });

  it('hears its heart beat, and answers, for longer than it may be silent', async () => {
    const { server, url } = await start(block(), quick);
    const { client, log } = join(url);
    await client.connect();
    const pongs: string[] = [];
    for (const socket of server.clients) socket.on('message', (data: RawData) => pongs.push(String(data)));
    await until(() => expect(pongs.length).toBeGreaterThan(12));
    expect(pongs[0]).toBe('{"type":"pong"}');
    expect(log).toEqual(['open']);
  });

  it('is answered when it asks by itself', async () => {
    const lifecycle = new FakeLifecycle();
    const { client, written, log } = join((await start()).url, { lifecycle });
    await client.connect();
    lifecycle.says('visible');
    await until(() => expect(client.stats.roundTrip).toBeGreaterThan(0));
    expect(written[0]?.map(({ type }) => type)).toEqual(['hello', 'ping']);
    expect(log).toEqual(['open']);
  });
});

describe('a connection', () => {
  it('that is silent is closed with 4408, before hello and after it', async () => {
    const { server, url } = await start(block(), quick);
    const [mute, deaf] = [await raw(url), await raw(url)];
    deaf.ws.send(JSON.stringify(HELLO));
    for (const { ended } of [mute, deaf]) expect((await ended)[0]).toBe(4408);
    const bye = { type: 'bye', code: 4408, reconnect: true };
    expect(mute.frames).toMatchObject([bye]);
    expect(deaf.frames.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])).toEqual(['welcome', 'ping', 'bye']);
    expect(deaf.frames.at(-1)).toMatchObject(bye);
    await until(() => expect(server.clients.size).toBe(0));
  });

  it.each([
    ['junk', 'hello!'],
    ['bytes', new Uint8Array([0xff])],
    ['an event before hello', '{"type":"event","name":"note","data":1}'],
    ['a hello without limits', JSON.stringify({ ...HELLO, limits: undefined })],
    ['two hellos', JSON.stringify([HELLO, HELLO])],
  ])('that begins with %s is closed with 4400', async (_, message) => {
    const { ws, frames, ended } = await raw((await start()).url);
    ws.send(message);
    expect((await ended)[0]).toBe(4400);
    expect(frames).toMatchObject([{ type: 'bye', code: 4400, reconnect: false }]);
  });

  it('that breaks the protocol harms no other', async () => {
    const { url } = await start();
    const { client, log } = join(url);
    await client.connect();
    const got: unknown[] = [];
    client.on('note', (data) => void got.push(data));
    const breaking: [code: number, ...messages: string[]][] = [
      [4400, `{"type":"event","name":"note","data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`], // too deep to be written again
      [4400, '{', '{"type":"event","name":"note","data":"too late"}'],
      [1009, 'x'.repeat(70_000)],
    ];
    for (const [code, ...messages] of breaking) {
      const { ws, ended } = await raw(url, { hello: true });
      for (const message of messages) ws.send(message);
      expect((await ended)[0]).toBe(code);
    }
    client.send('note', 1);
    await until(() => expect(got).toEqual([1]));
    expect(log).toEqual(['open']);
  });

  it('that is gone leaves nothing behind', async () => {
    const { setTimeout, clearTimeout } = globalThis;
    const timers = new Set<unknown>();
    const { server, everybody, url } = await start(
      block(),
      {},
      {
        setTimeout: (callback: () => void, delay: number, ...rest: unknown[]) => {
          const timer = setTimeout(callback, delay, ...rest);
          if (delay === 35_000) timers.add(timer); // of the server
          return timer;
        },
        clearTimeout: (timer: NodeJS.Timeout) => {
          timers.delete(timer);
          clearTimeout(timer);
        },
      },
    );
    const { ws, frames, ended } = await raw(url, { hello: true });
    await until(() => expect(frames).toMatchObject([{ type: 'welcome' }]));
    expect([everybody.size, timers.size]).toEqual([1, 1]);
    ws.close();
    await ended;
    await until(() => expect(server.clients.size).toBe(0));
    expect([everybody.size, timers.size]).toEqual([0, 0]);
  });
});

describe('of the test vectors', () => {
  const { vectors, beginnings } = readVectors();
  /** Those that ask for no feature, and for no application: whatever an event is called, this server passes it on. */
  const concerning = vectors.filter(
    ({ to, needs, before = [], receives }) =>
      to === 'server' &&
      !needs &&
      !before.some((step) => typeof step === 'object' && 'does' in step) &&
      !(typeof receives === 'string' && /"type":"event","name":"(?!echo")/.test(receives)),
  );

  it('those that need no feature are many', () => expect(concerning.length).toBeGreaterThan(150));

  it('it fulfils all that need no feature', async () => {
    const { url } = await start();
    const failed: string[] = [];
    for (const vector of concerning)
      await replay(vector, beginnings, remoteServer(url)).catch((error: Error) => failed.push(error.message));
    expect(failed).toEqual([]);
  });
});

describe('what goes over the wire with each feature', () => {
  const dialogs = codeBlocks(document).filter(({ language }) => language === '');

  it('is told for calls, channels and resume', () => {
    expect(dialogs.map(({ heading }) => heading)).toEqual(['Calls', 'Channels', 'Resume']);
  });

  it.each(dialogs.map((dialog) => [dialog.heading, dialog] as const))('is as it is told: %s', async (_, { code }) => {
    const lines = code.split('\n').map(stepOf);
    const steps = code.includes('"type":"hello"') ? lines : ['server', ...lines];
    const vector: Vector = {
      name: code,
      section: '',
      to: 'server',
      before: steps,
      receives: '{"type":"ping"}',
      expects: { frames: [{ type: 'pong' }] },
    };
    await replay(vector, readVectors().beginnings, subject('server'));
  });
});

/** A line of a dialog as a step: `one` and `secret` stand for what the first welcome has. */
function stepOf(line: string): Step {
  const from = line.startsWith('>') ? 'client' : 'server';
  if (line.startsWith('-')) return { cut: true };
  const captures = /"type":"welcome".*"resumed":false/.test(line);
  const text = line
    .slice(2)
    .replace(/"(one|secret)"/g, (_, name: string) => (captures ? `{"$is":"text","$as":"${name}"}` : `"{{${name}}}"`));
  return { from, frame: JSON.parse(text) as Fields };
}
