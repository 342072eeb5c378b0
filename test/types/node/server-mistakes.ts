// Mistakes against the contract of a server. An expectation that is not met is an error itself.

import { type Contract, createServer, type ServerClient } from 'holdfast/server';

interface Chat {
  server: {
    events: { typing: { room: string } };
    methods: { history(params: { before: number }): string[]; time(): number; store(params: { name: string }): number };
  };
  client: { events: { notice: string }; methods: { confirm(question: string): boolean } };
  channels: { [room: `room:${string}`]: { id: number }; lobby: string };
}
const port = 8080;

// @ts-expect-error: no such method
createServer<Chat>({ port, handlers: { methods: { histories: () => [] } } });
// @ts-expect-error: a method of the client
createServer<Chat>({ port, handlers: { methods: { confirm: () => true } } });
// @ts-expect-error: the result is another one
createServer<Chat>({ port, handlers: { methods: { history: () => [5] } } });
// @ts-expect-error: also when it comes later
createServer<Chat>({ port, handlers: { methods: { time: async () => 'noon' } } });
// @ts-expect-error: there is one
createServer<Chat>({ port, handlers: { methods: { time: () => {} } } });
// @ts-expect-error: the parameters are others
createServer<Chat>({ port, handlers: { methods: { history: ({ after }) => [`${after}`] } } });
// @ts-expect-error: the context has no such thing
createServer<Chat>({ port, handlers: { methods: { time: (_, { user }) => user } } });
// @ts-expect-error: what is uploaded is not there at once
createServer<Chat>({ port, handlers: { methods: { store: (_, { upload }) => upload.length } } });
createServer<Chat>({
  port,
  handlers: {
    methods: {
      store: async (_, { upload }) => {
        let bytes = 0;
        // @ts-expect-error: nobody knows what it is
        for await (const item of upload) bytes += item.byteLength;
        return bytes;
      },
    },
  },
});
// @ts-expect-error: no such event
createServer<Chat>({ port, handlers: { events: { typed: () => {} } } });
// @ts-expect-error: the data is another one
createServer<Chat>({ port, handlers: { events: { typing: ({ rooms }) => rooms } } });
// @ts-expect-error: an event has no signal
createServer<Chat>({ port, handlers: { events: { typing: (_, { signal }) => signal } } });
// @ts-expect-error: no such kind of handlers
createServer<Chat>({ port, handlers: { calls: {} } });

const server = createServer<Chat>({ port });
// @ts-expect-error: no such channel
server.publish('rooms:kelp', { id: 1 });
// @ts-expect-error: another payload
server.publish('room:kelp', 'hi');
// @ts-expect-error: the payload is missing
server.publish('lobby');
// @ts-expect-error: no such channel
server.members('rooms:kelp');
// @ts-expect-error: what is not known must be looked at first
server.members('lobby').then(([first]) => first?.data.name);
// @ts-expect-error: an event of the other direction
server.broadcast('typing', { room: 'kelp' });
// @ts-expect-error: another payload
server.broadcast('notice', 5);
// @ts-expect-error: the payload is missing
server.broadcast('notice');

const client = server.clients[0] as ServerClient<Chat>;
// @ts-expect-error: an event of the other direction
client.send('typing', { room: 'kelp' });
// @ts-expect-error: another payload
client.send('notice', 5);
// @ts-expect-error: the payload is missing
client.send('notice');
// @ts-expect-error: the parameters are missing
client.call('confirm');
// @ts-expect-error: the result is a boolean
client.call('confirm', 'sure?').then((sure: string) => sure);
// @ts-expect-error: a method of the server
client.call('time');
// @ts-expect-error: an id is given
client.id = 'x';
// @ts-expect-error: clients are made by the server
new ServerClient();

// @ts-expect-error: a port is a number
createServer({ port: '8080' });
// @ts-expect-error: an unknown option
createServer({ port, paths: '/' });
// @ts-expect-error: an unknown limit
createServer({ port, limits: { size: 5 } });
// @ts-expect-error: an unknown limit of presence
createServer({ port, presence: { ttl: 5 } });
// @ts-expect-error: it is there already
createServer({ port, presence: true });
// @ts-expect-error: no such action
createServer({ port, authorize: ({ action }) => action === 'watch' });
// @ts-expect-error: a list
createServer({ port, origins: 'https://example.com' });
// @ts-expect-error: a path or nothing
createServer({ port, health: true });
// @ts-expect-error: an answer is needed
createServer({ port, authorize: () => {} });
// @ts-expect-error: what is not known must be looked at first
createServer({ port, handlers: { methods: { add: ({ a, b }) => a + b } } });
// @ts-expect-error: a contract has other parts
export const contract: Contract = { servers: {} };
