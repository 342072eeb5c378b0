// The drop-in in a service without a page. All of it must compile, and the events must have their types.

import { ReconnectingWebSocket } from 'holdfast';
import { WebSocket as WS } from 'ws';

const ws = new ReconnectingWebSocket('ws://localhost', { createSocket: (url, protocols) => new WS(url, protocols) });
ws.addEventListener('close', ({ code, unsent }) => code + unsent.queuedBytes);
ws.addEventListener('drop', ({ bytes }) => bytes.toFixed());
ws.onclose = ({ willReconnect }) => willReconnect;
ws.onmessage = ({ data }) => console.log(data);
ws.send(Buffer.from('x'));

// @ts-expect-error: numbers are not sent
ws.send(5);
// @ts-expect-error: a close event has no such fact
ws.addEventListener('close', (event) => event.willRecover);
