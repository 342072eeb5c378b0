// Mistakes against a contract that the compiler must find. An expectation that is not met is an error itself.

import { Client, presence, upload } from 'holdfast';

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
      store(params: { name: string }): { stored: number };
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

const file = new Blob();
// @ts-expect-error: no such method
upload(client, 'stores', { name: 'kelp' }, file);
// @ts-expect-error: a method of the client
upload(client, 'confirm', 'x', file);
// @ts-expect-error: the parameters are others
upload(client, 'store', { name: 5 }, file);
// @ts-expect-error: the parameters are missing
upload(client, 'store', undefined, file);
// @ts-expect-error: they have a place of their own
upload(client, 'time', file);
// @ts-expect-error: it takes none
upload(client, 'time', 5, file);
// @ts-expect-error: there is nothing to upload
upload(client, 'store', { name: 'kelp' });
// @ts-expect-error: a number is no source
upload(client, 'store', { name: 'kelp' }, 5);
// @ts-expect-error: neither is a plain object
upload(client, 'store', { name: 'kelp' }, { file });
// @ts-expect-error: an unknown option
upload(client, 'store', { name: 'kelp' }, file, { buffer: 5 });
// @ts-expect-error: an option of another type
upload(client, 'store', { name: 'kelp' }, file, { chunkSize: '16k' });
// @ts-expect-error: the result is another one
upload(client, 'store', { name: 'kelp' }, file).then((stored: number) => stored);
// @ts-expect-error: where it is a stream, nobody knows how long it is
upload(client, 'store', { name: 'kelp' }, file, { onprogress: ({ bytes, total }) => bytes / total });
// @ts-expect-error: a channel is no client
upload(client.channel('lobby'), 'store', { name: 'kelp' }, file);

// @ts-expect-error: a channel, not its name
presence('lobby');
// @ts-expect-error: a channel, not its client
presence(client);
// @ts-expect-error: no such channel
presence(client.channel('rooms:kelp'));
// @ts-expect-error: what is shown is something else
presence<{ name: string }>(client.channel('lobby'), { data: { name: 5 } });
// @ts-expect-error: a part of it is missing
presence<{ name: string }>(client.channel('lobby'), { data: {} });
// @ts-expect-error: an unknown option
presence(client.channel('lobby'), { date: 5 });
const people = presence<{ name: string }>(client.channel('lobby'));
// @ts-expect-error: what is shown is something else
people.update({ name: 5 });
// @ts-expect-error: nothing is none: for that there is leave()
people.update();
// @ts-expect-error: who is there is for others to say
people.members.set('x', { id: 'x', data: { name: 'Ida' } });
// @ts-expect-error: and so it is here
people.members = new Map();
// @ts-expect-error: perhaps it is not there
people.members.get('x').data;
// @ts-expect-error: nor is this client
people.me.length;
// @ts-expect-error: no such event
people.addEventListener('joined', () => {});
// @ts-expect-error: members show no such thing
people.addEventListener('join', ({ member }) => member.data.age);
// @ts-expect-error: only after an update there was something before
people.addEventListener('update', ({ previous }) => previous.data);
// @ts-expect-error: that many have changed, or nobody knows who
people.addEventListener('change', ({ member }) => member);
// @ts-expect-error: what is not known must be looked at first
presence(client.channel('lobby')).addEventListener('join', ({ member }) => member.data.name);

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
