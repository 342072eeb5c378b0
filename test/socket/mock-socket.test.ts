/**
 * The page's own code with one word swapped, over mock-socket in place of the browser's WebSocket. mock-socket departs from the
 * standard in close codes of failures, in binary data and in bufferedAmount: those points are tested on real sockets.
 */

import { WebSocket as MockSocket, Server } from 'mock-socket';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReconnectingWebSocket } from '../../src/socket.ts';

const URL = 'ws://chat.test/';

/** What a page does with a WebSocket today. */
function page(Socket: typeof WebSocket) {
  const log: string[] = [];
  const socket = new Socket(URL);
  socket.onopen = () => {
    log.push('open');
    socket.send('hello');
  };
  socket.onmessage = (event) => log.push(`message ${event.data}`);
  socket.onclose = (event) => log.push(`close ${event.code}`);
  return { socket, log };
}

let server: Server;
const serve = () => {
  server = new Server(URL, { mock: false });
  server.on('connection', (peer) => peer.on('message', (data) => peer.send(`echo ${String(data)}`)));
};
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', MockSocket);
  serve();
});

afterEach(() => {
  server.stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a page with one word swapped', () => {
  it('works as it did', async () => {
    const native = page(WebSocket);
    const ours = page(ReconnectingWebSocket);
    await pass(20);
    native.socket.close(3000);
    ours.socket.close(3000);
    await pass(20);
    expect(ours.log).toEqual(native.log);
    expect(ours.log).toEqual(['open', 'message echo hello', 'close 3000']);
  });

  it('comes back when the server restarts, and keeps what was written meanwhile', async () => {
    const { socket, log } = page(ReconnectingWebSocket);
    await pass(20);
    server.close({ code: 1012, reason: 'restart', wasClean: true });
    server.stop();
    socket.send('written while it was down');
    await pass(100);
    serve();
    await pass(10_000);
    expect(log.slice(0, 3)).toEqual(['open', 'message echo hello', 'close 1012']);
    expect(log.slice(-3)).toEqual(['open', 'message echo written while it was down', 'message echo hello']);
    socket.close();
    await pass(10);
  });

  it('notices a server that is gone without a word', async () => {
    const closes: number[] = [];
    const socket = new ReconnectingWebSocket(URL, [], { heartbeat: { ping: 'ping', interval: 1_000, timeout: 500 } });
    socket.addEventListener('close', ({ code }) => closes.push(code));
    await pass(20);
    expect(socket.readyState).toBe(socket.OPEN);
    server.stop(); // leaves its clients open, with nobody behind
    server = new Server('ws://elsewhere.test', { mock: false });
    await pass(2_000);
    expect(closes[0]).toBe(4000);
    socket.close();
    await pass(10);
    expect(socket.readyState).toBe(socket.CLOSED);
    expect(vi.getTimerCount()).toBe(0);
  });
});
