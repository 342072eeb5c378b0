// A program that uses the built package as a user's would: connects, calls, is cut and resumes, closes. Says what it saw as JSON on stdout.
// Arguments: the path of dist, `global` or `ws` for where WebSockets come from, the URL of the server's proxy, the URL of an echo server.

import { createRequire } from 'node:module';

const [dist, kind, url, echo] = process.argv.slice(2);
const { Client, ReconnectingWebSocket } = await import(`${dist}/index.js`);
const { WebSocket: Ws } = kind === 'ws' ? createRequire(import.meta.url)('ws') : {};
const backoff = () => 20;
const options = Ws ? { backoff, createSocket: (address, protocols) => new Ws(address, protocols) } : { backoff };

/** Everything that happens to it, in order. */
function logOf(target, withErrors = true) {
  const log = [];
  target.addEventListener('open', ({ resumed }) => log.push(resumed ? 'open, resumed' : 'open'));
  if (withErrors) target.addEventListener('error', ({ error }) => log.push(`error ${error.code}`));
  target.addEventListener('close', ({ code, reason, willReconnect }) =>
    log.push(`close ${code} ${reason}${willReconnect ? ', again' : ''}`),
  );
  return log;
}

async function talk() {
  const client = new Client(url, options);
  const log = logOf(client, false); // a connection that breaks says `error` on one platform, and not on another
  const messages = [];
  await client.channel('room').subscribe((message) => messages.push(message)).ready;
  const seen = {
    sum: await client.call('add', { a: 1, b: 2 }),
    bytes: [...(await client.call('echo', new Uint8Array([1, 2, 255])))],
    cut: await client.call('cut'),
    after: await client.call('add', { a: 3, b: 4 }),
  };
  const { connections, resumed } = client.stats;
  await client.close();
  return { ...seen, connections, resumed, messages, log, state: client.state.status };
}

async function dropIn() {
  const socket = new ReconnectingWebSocket(`${echo}/echo`, options);
  socket.binaryType = 'arraybuffer';
  const log = logOf(socket);
  const heard = [];
  socket.send('queued');
  socket.send(new Uint8Array([1, 2, 255]));
  socket.addEventListener('message', ({ data }) => {
    heard.push(typeof data === 'string' ? data : [...new Uint8Array(data)]);
    if (heard.length === 2) socket.close(3001, 'done');
  });
  const { wasClean } = await new Promise((resolve) => socket.addEventListener('close', resolve));
  return { heard, log, wasClean, buffered: socket.bufferedAmount };
}

/** Until the socket is there; it gets no answer. */
async function opening(socket) {
  while (socket.state.phase !== 'opening') await new Promise((resolve) => socket.addEventListener('statechange', resolve, { once: true }));
}

/** Whether listeners hear of the end before `close()` returns, which no browser does: who listens after `close()` would miss it. */
async function isHeardWithinClose() {
  const socket = new ReconnectingWebSocket(`${echo}/stall`, options);
  await opening(socket);
  let isClosing = true;
  const within = new Promise((resolve) => socket.addEventListener('close', () => resolve(isClosing)));
  socket.close();
  isClosing = false;
  return within;
}

/** What a connection that never comes about, or is ended by the server, says until it is over. */
async function fate(path, isOver) {
  const socket = new ReconnectingWebSocket(`${echo}${path}`, { ...options, maxRetries: 1 });
  const log = logOf(socket);
  const ended = new Promise((resolve) => socket.addEventListener('close', ({ willReconnect }) => willReconnect || resolve()));
  isOver?.(socket);
  await ended;
  return log;
}

const seen = {
  client: await talk(),
  dropIn: await dropIn(),
  refused: await fate('/status/503'),
  sentAway: await fate('/close/4001?reason=go'),
  closedWhileConnecting: await fate('/stall', async (socket) => {
    await opening(socket);
    socket.close(3002);
  }),
  heardWithinClose: await isHeardWithinClose(),
};
console.log(JSON.stringify(seen));
// Nothing is left that keeps the process alive: it ends by itself.
