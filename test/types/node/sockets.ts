// Sockets of others, made by `createSocket`. All of it must compile.

import { type CreateSocket, type Data, ReconnectingWebSocket, type WebSocketLike } from 'holdfast';
import { WebSocket as MockSocket } from 'mock-socket';
import { WebSocket as WS } from 'ws';

new ReconnectingWebSocket('ws://localhost', { createSocket: (url, protocols) => new WS(url, protocols) });
new ReconnectingWebSocket('ws://localhost', { createSocket: (url, protocols) => new WS(url, protocols, { headers: { cookie: 'x' } }) });
new ReconnectingWebSocket('ws://localhost', { createSocket: (url, protocols) => new MockSocket(url, protocols) });
new ReconnectingWebSocket('ws://localhost', { createSocket: (url) => new WebSocket(url) });

export const wanted: CreateSocket = (url) => new WS(url);
export const some: WebSocketLike[] = [new WS('ws://localhost'), new MockSocket('ws://localhost'), new WebSocket('ws://localhost')];

const ws = new ReconnectingWebSocket('ws://localhost');
ws.send(Buffer.from('x'));
const data: Data = 'x';
ws.send(data);
ws.addEventListener('close', ({ willReconnect }) => console.log(willReconnect));
