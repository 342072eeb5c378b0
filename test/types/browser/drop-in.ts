// Ordinary WebSocket code in which one word was swapped. All of it must compile.

import { type ReconnectingCloseEvent, type ReconnectingErrorEvent, ReconnectingWebSocket } from 'holdfast';

// The class stands where the class stood, an instance where an instance stood.
ReconnectingWebSocket satisfies typeof WebSocket;
const Implementation: typeof WebSocket = ReconnectingWebSocket;
const made: WebSocket = new Implementation('wss://example.com', ['a', 'b']);
made.send('x');

export class Chat {
  socket: WebSocket = new ReconnectingWebSocket('wss://example.com/chat');
  maybe?: WebSocket;

  constructor(private readonly make: (url: string) => WebSocket = (url) => new ReconnectingWebSocket(url)) {
    this.maybe = this.make('wss://example.com');
    watch(this.socket);
  }
}

function watch(socket: WebSocket): void {
  socket.onclose = ({ code, reason, wasClean }) => console.log(code, reason, wasClean);
}

const ws = new ReconnectingWebSocket('wss://example.com');
watch(ws);
const target: EventTarget = ws;
target.dispatchEvent(new Event('x'));

// Constants, on the class and on the instance, as numbers and as literals.
const open: 1 = ReconnectingWebSocket.OPEN;
if (ws.readyState === WebSocket.OPEN || ws.readyState === ReconnectingWebSocket.CONNECTING || ws.readyState === ws.CLOSING) ws.close();
switch (ws.readyState) {
  case WebSocket.CONNECTING:
  case open:
  case WebSocket.CLOSING:
  case ws.CLOSED:
    break;
  default:
    ws.readyState satisfies never;
}

// Attributes.
ws.binaryType = 'arraybuffer';
const facts: [string, string, string, number, BinaryType] = [ws.url, ws.protocol, ws.extensions, ws.bufferedAmount, ws.binaryType];

// Everything that can be sent.
ws.send('text');
ws.send(new ArrayBuffer(8));
ws.send(new Uint8Array(8));
ws.send(new DataView(new ArrayBuffer(8)));
ws.send(new Blob(['x']));
const payload: Parameters<WebSocket['send']>[0] = 'x';
ws.send(payload);

// Everything that can be said at the end.
ws.close();
ws.close(1000);
ws.close(1000, 'bye');
ws.close(undefined, undefined);

// Handlers: set, called, cleared, handed on.
ws.onopen = () => ws.send('hello');
ws.onopen = (event) => console.log(event.type, event.timeStamp);
ws.onopen = function (event) {
  this.send(event.type);
};
ws.onmessage = (event) => console.log(event.data.length, event.origin);
ws.onmessage = ({ data }: MessageEvent<string>) => JSON.parse(data);
ws.onmessage = async ({ data }) => console.log(await data.text());
ws.onerror = (event) => console.log(event.type);
ws.onerror = console.error;
ws.onerror = (event: Event) => console.log(event);
ws.onerror = (event: ReconnectingErrorEvent) => console.log(event.error);
ws.onclose = (event) => console.log(event.code, event.reason, event.wasClean);
ws.onclose = (event: CloseEvent) => console.log(event.code);
ws.onclose = null;
ws.onopen = ws.onopen;
ws.onmessage = ws.onmessage;
ws.onerror = ws.onerror;
ws.onclose = ws.onclose;
made.onclose = ws.onclose;
ws.onclose = made.onclose;

export function pretendClosed(socket: ReconnectingWebSocket): void {
  socket.onclose?.(new CloseEvent('close'));
}

// What a handler may learn besides.
ws.onclose = (event) => {
  const again: boolean = event.willReconnect;
  const left: number = event.unsent.queuedBytes + event.unsent.queuedMessages + event.unsent.lostBytes;
  return [again, left];
};
ws.onerror = (event) => event.error.message;

// Listeners, which return whatever they like.
const list: unknown[] = [];
ws.addEventListener('message', () => list.push(1));
ws.addEventListener('message', (event) => list.push(event.data.anything));
ws.addEventListener('message', ({ data }: MessageEvent<string>) => list.push(data.length));
ws.addEventListener('message', async (event) => void (await event.data));
ws.addEventListener('open', () => list.push(1), { once: true });
ws.addEventListener('open', () => list.push(1), { signal: new AbortController().signal, passive: true });
ws.addEventListener('open', () => list.push(1), true);
ws.addEventListener('open', function (event) {
  this.send(event.type);
});
ws.addEventListener('error', (event) => list.push(event.error.message, event.message));
ws.addEventListener('error', (event: Event) => list.push(event));
ws.addEventListener('close', (event) => list.push(event.unsent.queuedBytes, event.willReconnect, event.code));
ws.addEventListener('close', (event: CloseEvent) => list.push(event.code));
ws.addEventListener('statechange', ({ state, previous }) => list.push(state.status, previous.status));
ws.addEventListener('drop', ({ data, bytes, reason }) => list.push(data, bytes, reason));

// Names that are nobody's, as EventTarget has it.
ws.addEventListener('reconnecting', () => list.push(1));
ws.removeEventListener('reconnecting', () => list.push(1));
const name: string = list.length > 0 ? 'open' : 'close';
ws.addEventListener(name, (event) => list.push(event.type));

// Objects as listeners.
const object: EventListenerObject = { handleEvent: (event) => list.push(event.type) };
ws.addEventListener('open', object);
ws.addEventListener('message', { handleEvent: (event) => list.push(event.type) });
ws.removeEventListener('open', object);
ws.addEventListener('open', null);

// Removal of what was added.
const onMessage = (event: MessageEvent<string>): void => console.log(event.data);
const onClose = (event: ReconnectingCloseEvent): void => console.log(event.willReconnect);
const onCloseNative = (event: CloseEvent): void => console.log(event.code);
ws.addEventListener('message', onMessage);
ws.removeEventListener('message', onMessage);
ws.addEventListener('close', onClose, { capture: true });
ws.removeEventListener('close', onClose, { capture: true });
ws.removeEventListener('close', onCloseNative, true);

// A listener that adds and removes in a loop over names, as wrappers do.
const handlers = { open: () => list.push('open'), close: (event: CloseEvent) => list.push(event.code) };
ws.addEventListener('open', handlers.open);
ws.addEventListener('close', handlers.close);

// A subclass, as libraries that reconnect by themselves want it.
export class OneConnection extends ReconnectingWebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols, { reconnect: false });
  }
}
OneConnection satisfies typeof WebSocket;
export const passed: [typeof WebSocket, WebSocket, typeof facts] = [OneConnection, new OneConnection(new URL('wss://example.com')), facts];

// A promise of the opening, as it is written everywhere.
export const opened = new Promise<Event>((resolve, reject) => {
  ws.onopen = resolve;
  ws.onerror = reject;
  ws.addEventListener('open', resolve, { once: true });
  ws.addEventListener('error', reject, { once: true });
});
