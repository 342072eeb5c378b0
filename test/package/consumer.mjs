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

// Both ends of the protocol, as installed.
const { createServer, ...server } = await import('holdfast/server');
const serverExports = ['createServer', ...Object.keys(server)].sort();
const listening = createServer({
  port: 0,
  hostname: '127.0.0.1',
  handlers: {
    methods: {
      add: ({ a, b }) => a + b,
      refuse: () => {
        throw new server.CallError('PERMISSION_DENIED');
      },
    },
    events: { note: (_, { client }) => client.send('note', 'noted') },
  },
});
await listening.listening;
const client = new holdfast.Client(`ws://127.0.0.1:${listening.port}/`, {
  createSocket: (url, protocols) => new WebSocket(url, protocols),
});
const event = new Promise((resolve) => client.on('note', resolve));
const message = new Promise((resolve) => client.channel('all').subscribe(resolve));
client.send('note');
await client.channel('all').subscribe().ready;
listening.publish('all', 'to all');
const error = await client.call('refuse').catch((reason) => reason);
const said = {
  sum: await client.call('add', { a: 1, b: 2 }),
  event: await event,
  message: await message,
  refused: `${error.name} ${error.code}`,
  sameClass: error instanceof holdfast.CallError && holdfast.CallError === server.CallError,
};
await client.close();
said.state = client.state.status;
await listening.close();

console.log(
  JSON.stringify({ exports: exports.sort(), serverExports, said, left, heard, close: { code, reason, wasClean, willReconnect } }),
);
// Nothing is left that keeps the process alive: it ends by itself.
