// A user of the installed package, in plain JavaScript. Run with the URL of an echo server; says what it saw as JSON on stdout.

const globals = Reflect.ownKeys(globalThis);
const resources = process.getActiveResourcesInfo().length;

const holdfast = await import('holdfast');
const exports = Object.keys(holdfast);
const left = {
  globals: Reflect.ownKeys(globalThis)
    .filter((key) => !globals.includes(key))
    .map(String),
  resources: process.getActiveResourcesInfo().length - resources,
};

const { WebSocket } = await import('ws');
const socket = new holdfast.ReconnectingWebSocket(process.argv[2], { createSocket: (url, protocols) => new WebSocket(url, protocols) });
const heard = [];
socket.send('queued'); // long before it is open
socket.onopen = () => socket.send('sent');
socket.onmessage = ({ data }) => {
  heard.push(data);
  if (heard.length === 2) socket.close(1000, 'done');
};
const { code, reason, wasClean, willReconnect } = await new Promise((resolve) => {
  socket.onclose = resolve;
});

console.log(JSON.stringify({ exports, left, heard, close: { code, reason, wasClean, willReconnect } }));
// Nothing is left that keeps the process alive: it ends by itself.
