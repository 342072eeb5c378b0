// The drop-in in a worker. All of it must compile.

import { ReconnectingWebSocket } from 'holdfast';

const ws: WebSocket = new ReconnectingWebSocket('wss://example.com');
ws.onmessage = ({ data }) => postMessage(data);
ws.onclose = ws.onclose;
