// Mistakes against a contract that the compiler must find. An expectation that is not met is an error itself.

import { Client } from 'holdfast';

const url = 'wss://example.com';

interface Message {
  readonly id: number;
  readonly text: string;
}
type Chat = {
  server: {
    events: { typing: { room: string }; seen: number; leave: undefined };
    methods: {
      history(params: { before: number }): Message[];
      time(): number;
      search(params?: { text: string }): Message[];
    };
  };
  client: { events: { notice: string }; methods: { confirm(question: string): boolean } };
  channels: { [room: `room:${string}`]: Message; [user: `user:${number}`]: number; lobby: string };
};
const client = new Client<Chat>(url);

// @ts-expect-error: no such event
client.send('typed', { room: 'kelp' });
// @ts-expect-error: an event of the other direction
client.send('notice', 'x');
// @ts-expect-error: a method is no event
client.send('history', { before: 5 });
// @ts-expect-error: the payload is missing
client.send('typing');
// @ts-expect-error: the payload is another one
client.send('typing', { room: 5 });
// @ts-expect-error: a part of the payload is missing
client.send('typing', {});
// @ts-expect-error: the payload has no such part
client.send('typing', { room: 'kelp', loud: true });
// @ts-expect-error: nothing is to be sent with it
client.send('leave', 5);
// @ts-expect-error: options are not a payload
client.send('seen', { ttl: 5 });
// @ts-expect-error: an unknown option
client.send('seen', 5, { timeout: 5 });
// @ts-expect-error: an option of another type
client.send('seen', 5, { ttl: '5s' });
// @ts-expect-error: a receipt for an event has nothing to tell
client.send('seen', 5).acknowledged.then(({ offset }) => offset);

// @ts-expect-error: no such event from the server
client.on('typing', () => {});
// @ts-expect-error: its data is a string
client.on('notice', (data: number) => data);
// @ts-expect-error: a string has no such property
client.on('notice', ({ text }) => text);
// @ts-expect-error: lifecycle events are listened to, with addEventListener
client.on('open', () => {});
// @ts-expect-error: a handler is a function
client.on('notice', 'x');

// @ts-expect-error: no such method
client.call('histories', { before: 5 });
// @ts-expect-error: a method of the client
client.call('confirm', 'x');
// @ts-expect-error: an event is no method
client.call('typing', { room: 'kelp' });
// @ts-expect-error: the parameters are missing
client.call('history');
// @ts-expect-error: the parameters are others
client.call('history', { before: '5' });
// @ts-expect-error: the parameters lack a part
client.call('history', {});
// @ts-expect-error: it takes none
client.call('time', 5);
// @ts-expect-error: options come after the parameters
client.call('time', { timeout: 5 });
// @ts-expect-error: if there are some, then these
client.call('search', { word: 'x' });
// @ts-expect-error: an unknown option
client.call('time', undefined, { ttl: 5 });
// @ts-expect-error: the result is another one
client.call('time').then((time: string) => time);
// @ts-expect-error: the result is a promise
client.call('time').toFixed();
// @ts-expect-error: the messages have no such property
client.call('history', { before: 5 }).then(([message]) => message.author);

// @ts-expect-error: no such method of the client
client.handle('history', () => []);
// @ts-expect-error: the result is a boolean
client.handle('confirm', () => 'yes');
// @ts-expect-error: also when it comes later
client.handle('confirm', async () => 'yes');
// @ts-expect-error: there is one
client.handle('confirm', () => {});
// @ts-expect-error: the question is a string
client.handle('confirm', (question: number) => question > 5);
// @ts-expect-error: the context has no such thing
client.handle('confirm', (_, { user }) => user);

// @ts-expect-error: no such channel
client.channel('rooms:kelp');
// @ts-expect-error: not every text is a name
client.channel(url as string);
// @ts-expect-error: this family has numbers
client.channel('user:ann');
// @ts-expect-error: an event is no channel
client.channel('typing');
// @ts-expect-error: another payload
client.channel('room:kelp').publish('hi');
// @ts-expect-error: a part is missing
client.channel('room:kelp').publish({ id: 1 });
// @ts-expect-error: nothing is none
client.channel('lobby').publish();
// @ts-expect-error: the payload of another family
client.channel('user:5').publish({ id: 1, text: 'hi' });
// @ts-expect-error: its messages are others
client.channel('lobby').subscribe((message: Message) => message);
// @ts-expect-error: a string has no such property
client.channel('lobby').addEventListener('message', ({ data }) => data.text);
// @ts-expect-error: no such event
client.channel('lobby').addEventListener('massage', () => {});
// @ts-expect-error: a channel has a name of its own
client.channel('lobby').name = 'x';

// @ts-expect-error: no such lifecycle event
client.addEventListener('opened', () => {});
// @ts-expect-error: facts of an event are facts
client.addEventListener('open', (event) => (event.resumed = true));
// @ts-expect-error: an unknown part of a contract
new Client<{ servers: { events: { typing: number } } }>(url);
// @ts-expect-error: events are a map
new Client<{ server: { events: string } }>(url);
// @ts-expect-error: what is left out has no names
new Client<{ server: { events: { typing: number } } }>(url).call('typing');
// @ts-expect-error: no parts, no names
new Client<Record<never, never>>(url).send('anything');
// @ts-expect-error: a method takes one parameter
new Client<{ server: { methods: { add(a: number, b: number): number } } }>(url).call('add', 1);

const free = new Client(url);
// @ts-expect-error: what is not known must be looked at first
free.call('anything').then((result) => result.length);
// @ts-expect-error: also the data of an event
free.on('anything', (data) => data.length);
// @ts-expect-error: also a message
free.channel('anything').subscribe((message) => message.text);
// @ts-expect-error: a name is text
free.send(5);

// @ts-expect-error: an unknown option
new Client(url, { timeout: 5 });
// @ts-expect-error: subprotocols belong to the protocol
new Client(url, { protocols: ['chat'] });
// @ts-expect-error: nothing but false
new Client(url, { subprotocol: true });
// @ts-expect-error: an unknown policy
new Client(url, { outbox: { overflow: 'drop' } });
// @ts-expect-error: the state is what it is
client.state = { status: 'idle' };
// @ts-expect-error: counters are counted by others
client.stats.sent = 0;
// @ts-expect-error: how to close is said by name
client.close(1000, 'done');
