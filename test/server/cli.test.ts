/** `holdfast-server`, as it is started from a shell. */

import { type ChildProcess, spawn } from 'node:child_process';
import { connect as dial } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { presence } from '../../src/presence.ts';
import { upload } from '../../src/upload.ts';
import { once, until } from '../support/e2e.ts';
import { heard, join, raw, startServer } from '../support/service.ts';

const program = fileURLToPath(new URL('../../src/server/cli.ts', import.meta.url));
const PATIENCE = 30_000;

interface Running {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly output: { out: string; error: string };
  /** Its exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const output = { out: '', error: '' };
  child.stdout.on('data', (data) => {
    output.out += data;
  });
  child.stderr.on('data', (data) => {
    output.error += data;
  });
  const exit = new Promise<number | NodeJS.Signals | null>((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  return { child, output, exit };
}

/** Started on any free port; resolves when it says where. */
async function startListening(...args: string[]): Promise<Running & { readonly url: string; readonly port: number }> {
  const running = start('--port', '0', ...args);
  const [, url = '', port] = await until(() => {
    const match = /^holdfast-server listens on (ws:\/\/127\.0\.0\.1:(\d+)\/\S*)\n/.exec(running.output.out);
    if (!match) throw new Error(`it says ${JSON.stringify(running.output)}`);
    return match;
  });
  return { ...running, url, port: Number(port) };
}

describe('holdfast-server', { timeout: PATIENCE }, () => {
  it('--help says what there is, and does nothing', async () => {
    const { output, exit } = start('--help');
    expect(await exit).toBe(0);
    for (const word of ['--port', '--hostname', '--path', '--origin', 'echo', 'add', 'chat', '/health']) expect(output.out).toContain(word);
    expect(output.error).toBe('');
  });

  it('has methods, an event and channels to try things on', async () => {
    const { url, output } = await startListening();
    const { client } = join(url);
    expect(await client.call('echo', { any: ['thing', 1, null] })).toEqual({ any: ['thing', 1, null] });
    expect(await client.call('echo', new Uint8Array([1, 255]))).toEqual(new Uint8Array([1, 255]));
    expect(await client.call('echo')).toBeUndefined();
    expect(await client.call('add', { a: 1, b: 2 })).toBe(3);
    expect(await upload(client, 'count', undefined, [new Uint8Array(40_000), 'one'])).toEqual({ items: 4, bytes: 40_000 });
    const people = presence(client.channel('chat'), { data: 'Ida' });
    await people.ready;
    expect([...people.members.values()]).toEqual([{ id: people.me, data: 'Ida' }]);
    for (const params of [undefined, null, 5, {}, { a: 1 }, { a: '1', b: 2 }])
      await expect(client.call('add', params)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await client.call('time')).toEqual(expect.any(Number));
    expect(await client.call('wait', { ms: 1 })).toBe('waited');
    await expect(client.call('wait', { ms: 60_000 }, { timeout: 50 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await expect(client.call('fail', { code: 'out_of_kelp', message: 'no more' })).rejects.toMatchObject({
      code: 'out_of_kelp',
      message: 'no more',
    });
    await expect(client.call('toString')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    const echoed = new Promise((resolve) => client.on('echo', resolve));
    client.send('echo', 'hello?');
    expect(await echoed).toBe('hello?');

    const other = join(url).client;
    const chat = new Promise((resolve) => other.channel('chat').subscribe(resolve));
    await other.channel('chat').subscribe().ready;
    client.channel('chat').publish('hi');
    expect(await chat).toBe('hi');
    expect(output.error).toBe('');
  });

  it('listens where it is told, lets in whom it is told, and says how it is', async () => {
    const { url, port } = await startListening('--path', '/live', '--origin', 'https://a.test', '--origin', 'https://b.test');
    expect(url).toBe(`ws://127.0.0.1:${port}/live`);
    for (const origin of ['https://a.test', 'https://b.test']) await raw(url, { headers: { origin } });
    await expect(raw(url, { headers: { origin: 'https://c.test' } })).rejects.toThrow('403');
    const health = await fetch(`http://127.0.0.1:${port}/health`);
    expect(await health.json()).toEqual({ status: 'ok', connections: 2 });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('at %s tells everybody 4100, finishes what runs, and ends with 0', async (signal) => {
    const { child, url, exit, output } = await startListening();
    const [busy, idle] = [join(url), join(url)];
    await Promise.all([busy.client.connect(), idle.client.connect()]);
    const call = busy.client.call('wait', { ms: 300 });
    await busy.client.call('time'); // what was called before has been read
    const told = heard(idle.client, 'close');
    child.kill(signal);
    expect(await told).toMatchObject({ code: 4100, wasClean: true, willReconnect: true });
    expect(await call).toBe('waited');
    expect(await exit).toBe(0);
    expect(busy.log[1]).toBe('close 4100 again');
    expect(output.out).toMatch(/\nshutting down\n$/);
    expect(output.error).toBe('');
  });

  it('takes a second signal for an order to leave at once: what ran is lost with the sessions, which its clients hear from the next one', async () => {
    const { child, url, port, exit, output } = await startListening();
    const { client } = join(url);
    const call = client.call('wait', { ms: 60_000 }).catch((error: { code: string }) => error.code);
    await client.call('time'); // what was called before has been read
    child.kill('SIGTERM');
    await until(() => expect(output.out).toContain('shutting down'));
    child.kill('SIGTERM');
    expect(await exit).toBe('SIGTERM');
    await startListening('--port', `${port}`);
    expect(await call).toBe('SESSION_LOST');
  });

  it.each<[string, string[], RegExp]>([
    ['a port that is none', ['--port', 'http'], /port/],
    ['a port that is too large', ['--port', '70000'], /port/],
    ['a path that is none', ['--path', 'live'], /path/],
    ['an option that it does not know', ['--prot', '80'], /--prot/],
    ['a word too many', ['serve'], /serve/],
  ])('says in a line what is wrong with %s, and fails', async (_, args, message) => {
    const { exit, output } = start(...args);
    expect(await exit).toBe(1);
    expect(output.error).toMatch(message);
    expect(output.error).not.toMatch(/\n\s+at /);
    expect(output.out).toBe('');
  });

  it('says so when the port is taken', async () => {
    const { server } = await startServer();
    const { exit, output } = start('--port', `${server.port}`);
    expect(await exit).toBe(1);
    expect(output.error).toMatch(/EADDRINUSE/);
    expect(output.error).not.toMatch(/\n\s+at /);
  });

  it('survives whoever comes to break it', async () => {
    const { child, url, port, exit } = await startListening('--path', '/live', '--origin', 'https://a.test');
    let ended: unknown;
    void exit.then((code) => {
      ended = code;
    });
    const requests = ['/nowhere', '/live'].flatMap((path) =>
      ['', 'Origin: https://evil.test\r\n'].map(
        (header) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${header}\r\n`,
      ),
    );
    for (const request of [...requests, 'not HTTP at all\r\n\r\n']) {
      const socket = dial(port, '127.0.0.1', () => socket.write(request, () => socket.resetAndDestroy()));
      await once(socket, 'close');
    }
    for (const text of ['', '{', '[]', 'null', '"hello"']) {
      const { ws, ended } = await raw(url);
      ws.send(text);
      expect((await ended)[0]).toBe(4400);
    }
    expect(await join(url).client.call('echo', 'alive')).toBe('alive');
    expect([ended, child.exitCode]).toEqual([undefined, null]);
  });
});
