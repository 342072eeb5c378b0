// A client and its server in a program without a page. All of it must compile, and contract and events must have their types.

import { CallError, Client, type OpenEvent, presence, upload } from 'holdfast';
import { createServer } from 'holdfast/server';
import { WebSocket as WS } from 'ws';

interface Chat {
  server: { methods: { add(params: { a: number; b: number }): number } };
  client: { events: { notice: string } };
  channels: { [room: `room:${string}`]: { text: string } };
}

const server = createServer<Chat>({ port: 0, handlers: { methods: { add: ({ a, b }) => a + b } } });
server.broadcast('notice', 'hi');

const client = new Client<Chat>('ws://localhost', { createSocket: (url, protocols) => new WS(url, protocols) });
client.call('add', { a: 1, b: 2 }).then((sum) => sum.toFixed());
client.channel('room:kelp').subscribe(({ text }) => text.length);
upload(client, 'add', { a: 1, b: 2 }, [Buffer.from('x')]).then((sum) => sum.toFixed());
const people = presence<{ name: string }>(client.channel('room:kelp'), { data: { name: 'Ida' } });
people.addEventListener('join', ({ member }) => member.data.name.length);
client.addEventListener('open', ({ recovered }: OpenEvent) => console.log(recovered));
client.addEventListener('drop', (event) => console.log(event.reason, event.type));
client.connect().catch((error: unknown) => error instanceof CallError && error.code);

// @ts-expect-error: no such method
client.call('subtract', { a: 1, b: 2 });
// @ts-expect-error: an open event has no such fact
client.addEventListener('open', (event) => console.log(event.restored));
// @ts-expect-error: the result is another one
upload(client, 'add', { a: 1, b: 2 }, []).then((sum) => sum.length);
// @ts-expect-error: members show no such thing
people.addEventListener('join', ({ member }) => member.data.age);
// @ts-expect-error: another payload
server.broadcast('notice', 5);
