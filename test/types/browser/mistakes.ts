// Mistakes that the compiler must find. An expectation that is not met is an error itself.

import { type ReconnectingCloseEvent, ReconnectingWebSocket, type State } from 'holdfast';

const url = 'wss://example.com';
const ws = new ReconnectingWebSocket(url);

// @ts-expect-error: an address is needed
new ReconnectingWebSocket();
// @ts-expect-error: a number is no address
new ReconnectingWebSocket(5);
// @ts-expect-error: neither if it is given late
new ReconnectingWebSocket(() => 5);
// @ts-expect-error: nor by a promise
new ReconnectingWebSocket(async () => ({ url }));
// @ts-expect-error: subprotocols are strings
new ReconnectingWebSocket(url, [1]);
// @ts-expect-error: also those given late
new ReconnectingWebSocket(url, () => [1]);
// @ts-expect-error: it is a class
ReconnectingWebSocket(url);

// @ts-expect-error: numbers are not sent
ws.send(5);
// @ts-expect-error: neither are objects
ws.send({ hello: 'world' });
// @ts-expect-error: nor nothing
ws.send();
// @ts-expect-error: null is not a message
ws.send(null);
// @ts-expect-error: a close code is a number
ws.close('1000');
// @ts-expect-error: a reason is a string
ws.close(1000, 5);
// @ts-expect-error: a reason to reconnect is one too
ws.reconnect(4001);

// @ts-expect-error: read-only, as native has it
ws.readyState = 1;
// @ts-expect-error: read-only
ws.url = url;
// @ts-expect-error: read-only
ws.bufferedAmount = 0;
// @ts-expect-error: the state is what it is
ws.state = { status: 'idle' };
// @ts-expect-error: and its parts are too
if (ws.state.status === 'open') ws.state.since = 0;
// @ts-expect-error: only a waiting one has a time for its retry
ws.state.retryAt;
// @ts-expect-error: no such state
if (ws.state.status === 'connected') ws.close();
// @ts-expect-error: a state has its data
export const state: State = { status: 'open' };
// @ts-expect-error: constants are constant
ReconnectingWebSocket.OPEN = 2;
// @ts-expect-error: one of two words
ws.binaryType = 'nodebuffer';

// @ts-expect-error: a handler is a function
ws.onclose = 5;
// @ts-expect-error: or null
ws.onopen = undefined;
// @ts-expect-error: of the event that it handles
ws.onmessage = (event: CloseEvent) => event.code;
// @ts-expect-error: a misspelt one is none
ws.onstatuschange = () => {};
// @ts-expect-error: a close event has no such fact
ws.onclose = (event) => event.willRecover;
// @ts-expect-error: a message event knows no code
ws.addEventListener('message', (event) => event.code);
// @ts-expect-error: a message event is not a close event
ws.addEventListener('message', (event: CloseEvent) => event.code);
// @ts-expect-error: a listener is not a string
ws.addEventListener('open', 'listener');
// @ts-expect-error: and an object needs handleEvent
ws.addEventListener('open', { handle: () => {} });
// @ts-expect-error: options have names
ws.addEventListener('open', () => {}, { onec: true });
// @ts-expect-error: facts of an event are facts
ws.onclose = (event) => (event.willReconnect = false);

// @ts-expect-error: an unknown option
new ReconnectingWebSocket(url, { maxRetrys: 3 });
// @ts-expect-error: also as third argument
new ReconnectingWebSocket(url, [], { minReconnectionDelay: 3 });
// @ts-expect-error: a number is not a string
new ReconnectingWebSocket(url, { maxRetries: '3' });
// @ts-expect-error: a duration is a number
new ReconnectingWebSocket(url, { connectTimeout: '10s' });
// @ts-expect-error: a backoff is a function
new ReconnectingWebSocket(url, { backoff: 1_000 });
// @ts-expect-error: that returns milliseconds at once
new ReconnectingWebSocket(url, { backoff: async () => 1_000 });
// @ts-expect-error: true says nothing about a queue
new ReconnectingWebSocket(url, { queue: true });
// @ts-expect-error: an unknown policy
new ReconnectingWebSocket(url, { queue: { overflow: 'drop' } });
// @ts-expect-error: an unknown bound
new ReconnectingWebSocket(url, { queue: { maxLength: 10 } });
// @ts-expect-error: a heartbeat needs something to say
new ReconnectingWebSocket(url, { heartbeat: {} });
// @ts-expect-error: on alone is not enough
new ReconnectingWebSocket(url, { heartbeat: true });
// @ts-expect-error: a ping is data
new ReconnectingWebSocket(url, { heartbeat: { ping: 5 } });
// @ts-expect-error: an unknown rule
new ReconnectingWebSocket(url, { heartbeat: { ping: 'ping', pongTimeout: 5 } });
// @ts-expect-error: a handshake receives a promise of a message, not a message
new ReconnectingWebSocket(url, { handshake: (socket) => socket.receive().length });
// @ts-expect-error: a controller is not its signal
new ReconnectingWebSocket(url, { signal: new AbortController() });
// @ts-expect-error: a class is not a function that makes sockets
new ReconnectingWebSocket(url, { createSocket: WebSocket });
// @ts-expect-error: an incomplete clock
new ReconnectingWebSocket(url, { clock: { now: () => 0 } });

// @ts-expect-error: what ended is told, not made up
export const event: ReconnectingCloseEvent = new CloseEvent('close');
