// Every option, and the state that a status line shows. All of it must compile.

import {
  backoff,
  type Clock,
  type ClosedCause,
  type DropCause,
  type DropReason,
  type ErrorCode,
  HoldfastError,
  type Lifecycle,
  type ProtocolsSource,
  type ProviderContext,
  ReconnectingWebSocket,
  type ReconnectingWebSocketOptions,
  type State,
  type UrlSource,
} from 'holdfast';

const url = 'wss://example.com';

// Where to.
new ReconnectingWebSocket(url);
new ReconnectingWebSocket(new URL(url));
new ReconnectingWebSocket(() => url);
new ReconnectingWebSocket(() => new URL(url));
new ReconnectingWebSocket(async () => url);
new ReconnectingWebSocket(async ({ attempt, cause, everOpened, signal }) => {
  const ticket = await fetch(`/ticket?attempt=${attempt}&after=${cause?.code ?? 0}&first=${!everOpened}`, { signal });
  return `${url}?ticket=${await ticket.text()}`;
});
export const source: UrlSource = (context: ProviderContext) => `${url}/${context.attempt}`;

// Which subprotocols.
new ReconnectingWebSocket(url, 'chat');
new ReconnectingWebSocket(url, ['chat', 'json']);
new ReconnectingWebSocket(url, []);
new ReconnectingWebSocket(url, undefined);
new ReconnectingWebSocket(url, () => 'chat');
new ReconnectingWebSocket(url, async () => ['chat', 'token']);
new ReconnectingWebSocket(url, () => undefined, { maxRetries: 3 });
new ReconnectingWebSocket(url, undefined, { maxRetries: 3 });
new ReconnectingWebSocket(url, { protocols: 'chat' });
new ReconnectingWebSocket(url, { protocols: async () => ['chat'] });
export const protocols: ProtocolsSource = ['chat'];

// All the rest.
const clock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: () => {},
};
const lifecycle: Lifecycle = { hidden: false, onLine: true, watch: (listener) => () => listener('visible') };
export const everything: ReconnectingWebSocketOptions = {
  protocols: ['chat'],
  reconnect: true,
  maxRetries: Infinity,
  backoff: (attempt, random, patient) => Math.min(backoff(attempt, random, patient), 1_000),
  stableAfter: 5_000,
  connectTimeout: 10_000,
  closeTimeout: 2_000,
  shouldReconnect: ({ code, kind, reason, wasClean, error }, { attempt, everOpened }) =>
    code !== 4403 && kind !== 'frozen' && reason !== 'gone' && !wasClean && !error && attempt < 5 && everOpened,
  queue: { maxBytes: 1_024, capacity: 10, ttl: 60_000, overflow: 'drop-oldest' },
  heartbeat: { ping: () => 'ping', isPong: (data) => data === 'pong', interval: 15_000, timeout: 5_000, probeTimeout: 3_000 },
  handshake: async (socket, { signal }) => {
    signal.throwIfAborted();
    socket.send(`login ${socket.protocol}`);
    if ((await socket.receive()) !== 'welcome') throw new Error('not welcome');
  },
  startClosed: false,
  signal: AbortSignal.timeout(60_000),
  createSocket: (address, list) => new WebSocket(address, list),
  clock,
  random: Math.random,
  lifecycle,
};
new ReconnectingWebSocket(url, everything);
new ReconnectingWebSocket(url, { queue: false });
new ReconnectingWebSocket(url, { queue: {} });
new ReconnectingWebSocket(url, { heartbeat: { ping: 'ping' } });
new ReconnectingWebSocket(url, { heartbeat: { ping: new Uint8Array([9]) } });
new ReconnectingWebSocket(url, { shouldReconnect: () => {} });
new ReconnectingWebSocket(url, { handshake: (socket) => socket.send('hello') });
new ReconnectingWebSocket(url, { handshake: async () => ({ resumed: true }) });
new ReconnectingWebSocket(url, {});

// Control.
const ws = new ReconnectingWebSocket(url, { startClosed: true });
ws.reconnect();
ws.reconnect('new token');

// What a status line needs, every state named.
export function describe(state: State): string {
  switch (state.status) {
    case 'idle':
      return 'not started';
    case 'connecting':
      return `attempt ${state.attempt + 1}, ${state.phase}, since ${new Date(state.startedAt).toISOString()}`;
    case 'open':
      return `open since ${state.since}${state.resumed ? ', resumed' : ''}`;
    case 'waiting':
    case 'offline':
      return `${state.status}: ${state.cause.kind} ${state.cause.code}, again in ${state.retryAt - Date.now()} ms${state.everOpened ? '' : ' (never yet)'}`;
    case 'closing':
      return `closing ${state.code ?? ''} ${state.reason}`;
    case 'closed':
      return `closed: ${because(state.cause)} ${state.code} ${state.reason} ${state.error?.message ?? ''}`;
    default:
      return state satisfies never;
  }
}

function because(cause: ClosedCause): string {
  switch (cause) {
    case 'user':
    case 'aborted':
    case 'exhausted':
    case 'refused':
    case 'unauthorized':
    case 'superseded':
      return cause;
    default:
      return cause satisfies never;
  }
}

export function why(reason: DropReason): string {
  switch (reason) {
    case 'overflow':
    case 'expired':
    case 'closed':
    case 'failed':
      return reason;
    default:
      return reason satisfies never;
  }
}

export function whyOfClient(reason: DropCause): string {
  switch (reason) {
    case 'overflow':
    case 'expired':
    case 'replaced':
    case 'closed':
    case 'signed-out':
    case 'too-large':
    case 'unsupported':
    case 'volatile':
    case 'refused':
    case 'session-lost':
    case 'poison':
      return reason;
    default:
      return reason satisfies never;
  }
}

ws.addEventListener('statechange', ({ state }) => console.log(describe(state)));
ws.addEventListener('error', ({ error }) => {
  if (error instanceof HoldfastError) error.code satisfies ErrorCode;
});
