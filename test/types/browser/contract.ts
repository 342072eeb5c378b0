// A client with a contract: names, payloads, parameters and results. All of it must compile.

import {
  type CallContext,
  type Channel,
  Client,
  type ClientEventMap,
  type ClientOptions,
  type Contract,
  type Member,
  type Presence,
  presence,
  type Receipt,
  type State,
  type UploadOptions,
  type UploadSource,
  upload,
} from 'holdfast';

const url = 'wss://example.com';

/** Whether two types are the same one, `any` and `unknown` told apart. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

interface Message {
  readonly id: number;
  readonly text: string;
}

// As a type alias.
type Chat = {
  server: {
    events: { typing: { room: string }; seen: number; leave: undefined; knock: ReturnType<typeof console.log>; note: string | undefined };
    methods: {
      history(params: { before: number; limit?: number }): Message[];
      add: (params: { a: number; b: number }) => Promise<number>;
      time(): Date;
      search(params?: { text: string }): Message[];
      ping(params: undefined): 'pong';
      delete(params: { id: number }): void;
      find(params: number | string): Message | undefined;
      store(params: { name: string }): Promise<{ stored: number }>;
    };
  };
  client: {
    events: { notice: string; tick: undefined };
    methods: { confirm(question: string): boolean; where(): Promise<{ x: number; y: number }>; forget(): void };
  };
  channels: { [room: `room:${string}`]: Message; [user: `user:${number}:${'in' | 'out'}`]: number; lobby: string };
};

const client = new Client<Chat>(url);

// Events to the server: data left out where it may be.
const receipt: Receipt = client.send('typing', { room: 'kelp' });
client.send('typing', { room: 'kelp' }, { volatile: true, ttl: 5, key: 'typing', priority: -1 });
client.send('seen', 5);
client.send('leave');
client.send('leave', undefined, { volatile: true });
client.send('knock');
client.send('note');
client.send('note', 'text');
receipt.acknowledged.then(() => receipt.status === 'acknowledged');

// Events from the server.
const off: () => void = client.on('notice', (text) => same<typeof text, string>(true));
client.on('notice', async (text) => text.length, { signal: AbortSignal.timeout(5) });
client.on('tick', () => {});
client.on('tick', (data) => same<typeof data, undefined>(true));
off();

// Calls: parameters left out where there are none or where they may be; results without their promises.
export async function calls(): Promise<void> {
  const history = await client.call('history', { before: 5 });
  same<typeof history, Message[]>(true);
  const sum = await client.call('add', { a: 1, b: 2 }, { timeout: 5, signal: AbortSignal.timeout(5) });
  same<typeof sum, number>(true);
  const time = await client.call('time');
  same<typeof time, Date>(true);
  await client.call('time', undefined, { timeout: Infinity });
  await client.call('search');
  await client.call('search', { text: 'x' });
  const pong = await client.call('ping');
  same<typeof pong, 'pong'>(true);
  const nothing = await client.call('delete', { id: 5 });
  same<typeof nothing, void>(true);
  const found = await client.call('find', 'x');
  same<typeof found, Message | undefined>(true);
  const [a, b] = await Promise.all([client.call('time'), client.call('add', { a: 1, b: 2 })]);
  same<[typeof a, typeof b], [Date, number]>(true);
}

// Calls by the server.
client.handle('confirm', (question) => {
  same<typeof question, string>(true);
  return question.length > 5;
});
client.handle('confirm', async (question, { signal }: CallContext) => !signal.aborted && question !== '');
client.handle('where', () => ({ x: 1, y: 2 }));
client.handle('where', async () => ({ x: 1, y: 2 }));
client.handle('forget', () => {});
client.handle('forget', async () => {});

// Channels, with families of names.
export async function channels(room: string, user: number): Promise<void> {
  const channel = client.channel(`room:${room}`);
  same<typeof channel, Channel<Message>>(true);
  channel.subscribe((message, { channel: name, offset, from }) => `${message.text} ${name} ${(offset ?? 0) + 1} ${from?.length}`);
  await channel.subscribe().ready;
  const { offset } = await channel.publish({ id: 1, text: 'hi' }, { ttl: 5, key: 'x' }).acknowledged;
  same<typeof offset, number | undefined>(true);
  for await (const message of channel) same<typeof message, Message>(true);
  channel.addEventListener('message', (event) => same<typeof event.data, Message>(true));
  channel.addEventListener('gap', ({ reason }) => void (reason === 'reconnected'));
  channel.addEventListener('statechange', ({ state }) => void (state.status === 'failed' && state.error.message));
  client.channel(`user:${user}:in`).publish(5);
  client.channel('lobby', { params: { token: 'x' } }).publish('hello');
  client.channel('room:').publish({ id: 1, text: '' });
}

// Uploads: a method with its parameters and its result, and what is uploaded.
export async function uploads(file: File, stream: ReadableStream<Uint8Array>): Promise<void> {
  const result = await upload(client, 'store', { name: file.name }, file);
  same<typeof result, { stored: number }>(true);
  const time = await upload(client, 'time', undefined, [1, 'two', new Uint8Array(3)]);
  same<typeof time, Date>(true);
  await upload(client, 'search', undefined, stream);
  await upload(client, 'search', { text: 'x' }, new ArrayBuffer(5));
  const onprogress: UploadOptions['onprogress'] = ({ bytes, total, items }) => {
    same<[typeof bytes, typeof total, typeof items], [number, number | undefined, number]>(true);
  };
  const options: UploadOptions = { signal: AbortSignal.timeout(5), timeout: Infinity, chunkSize: 1_024, priority: -1, onprogress };
  await upload(client, 'store', { name: 'x' }, lines(), options);
}
async function* lines(): AsyncGenerator<string> {
  yield 'a line';
}
export const sources: UploadSource[] = [new Blob(), new Uint8Array(5), new DataView(new ArrayBuffer(5)), lines(), new Set([1])];

// Who is there: on channels of any kind, with what is shown as it is said to be.
interface Person {
  readonly name: string;
  readonly typing?: boolean;
}
export async function people(room: string): Promise<void> {
  const here = presence<Person>(client.channel(`room:${room}`), { data: { name: 'Ida' }, signal: AbortSignal.timeout(5) });
  same<typeof here, Presence<Person>>(true);
  same<typeof here.members, ReadonlyMap<string, Member<Person>>>(true);
  same<[typeof here.me, typeof here.isCurrent, typeof here.ready], [string | undefined, boolean, Promise<void>]>(true);
  for (const { id, from, data } of here.members.values())
    same<[typeof id, typeof from, typeof data], [string, string | undefined, Person]>(true);
  here.addEventListener('join', ({ member }) => same<typeof member, Member<Person>>(true));
  here.addEventListener('update', ({ previous }) => same<typeof previous, Member<Person> | undefined>(true));
  here.addEventListener('leave', ({ member: { data } }) => data.name, { once: true });
  here.addEventListener('change', () => here.members.size);
  here.update({ name: 'Ida', typing: true });
  here.leave();
  here.close();
  const shown = presence(client.channel('lobby'), { data: 5 });
  same<typeof shown, Presence<number>>(true);
  const watched = presence(client.channel('lobby'));
  same<typeof watched, Presence<unknown>>(true);
}

// As interfaces, of interfaces.
interface ServerEvents {
  typing: Message;
}
interface ServerMethods {
  add(params: Message): number;
  time(): string;
}
interface ClientMethods {
  confirm(question: Message): boolean;
}
interface Side {
  events: ServerEvents;
  methods: ServerMethods;
}
interface Rooms {
  [room: `room:${string}`]: Message;
  lobby: Message[];
}
interface Interfaces {
  server: Side;
  client: { methods: ClientMethods };
  channels: Rooms;
}
interface Explicit extends Contract {
  readonly server: Side;
  readonly channels: Rooms;
}
const byInterface = new Client<Interfaces>(url);
byInterface.send('typing', { id: 1, text: '' });
byInterface.call('add', { id: 1, text: '' }).then((sum) => same<typeof sum, number>(true));
byInterface.call('time').then((time) => same<typeof time, string>(true));
byInterface.handle('confirm', ({ text }) => text === '');
same<ReturnType<typeof byInterface.channel<'lobby'>>, Channel<Message[]>>(true);
new Client<Explicit>(url).channel('room:x').publish({ id: 1, text: '' });

// In part: what is left out has no names; optional parts are parts.
interface Optional {
  server?: { events?: { typing: string } };
}
new Client<Optional>(url).send('typing', 'x');
new Client<{ channels: { a: number } }>(url).channel('a').publish(5);

// Without a contract every name goes, and nothing is known.
const free = new Client(url);
free.send('anything');
free.send('anything', { any: 'thing' }, { ttl: 5 });
free.on('anything', (data) => same<typeof data, unknown>(true));
free.call('anything').then((result) => same<typeof result, unknown>(true));
free.call('anything', 5, { timeout: 5 });
free.handle('anything', (params) => {
  same<typeof params, unknown>(true);
  return { any: 'thing' };
});
free.handle('anything', async () => {});
free.channel('anything').subscribe((data) => same<typeof data, unknown>(true));
free.channel('anything').publish({ any: 'thing' });
upload(free, 'anything', { any: 'thing' }, [5]).then((result) => same<typeof result, unknown>(true));
presence<Person>(free.channel('anything')).update({ name: 'x' });
const name: string = 'x';
free.send(name, 5);

// Handed on: helpers over one contract, and over any client.
export function statusLine(any: Pick<Client, 'state' | 'stats'>): string {
  return `${any.state.status} ${any.stats.roundTrip}`;
}
statusLine(client);
export function takeClient(chat: Client<Chat>): Promise<Message[]> {
  return chat.call('history', { before: 1 });
}
takeClient(client);
export function watch<C extends Contract>(any: Client<C>, listener: (state: State) => void): void {
  any.addEventListener('statechange', ({ state }) => listener(state));
}
watch(client, () => {});
watch(byInterface, () => {});
watch(free, () => {});
export class Service {
  readonly client: Client<Chat>;
  constructor(options: ClientOptions = {}) {
    this.client = new Client(url, options);
  }
}

// Lifecycle.
client.addEventListener('open', ({ resumed, recovered }) => same<typeof resumed, typeof recovered>(true));
client.addEventListener('drop', ({ kind, name: dropped, data, reason, error }) => void [kind, dropped, data, reason, error?.message]);
client.addEventListener('error', ({ error, message }) => void (error.message === message));
client.addEventListener('unhandled', ({ kind }) => void (kind === 'call'));
client.addEventListener('close', ({ code, willReconnect }) => void (code === 4100 && willReconnect));
const onOpen = (event: ClientEventMap['open']): void => console.log(event.recovered);
client.addEventListener('open', onOpen, { once: true });
client.removeEventListener('open', onOpen);
client.close({ code: 3000, reason: 'done', drain: 5 }).then(() => client.connect());

// A listener may return what it likes, as the platform has it.
const log: string[] = [];
client.addEventListener('open', () => log.push('open'));
client.channel('lobby').addEventListener('message', ({ data }) => log.push(data));
client.addEventListener('close', async () => log.pop());
client.addEventListener('open', { handleEvent: ({ recovered }) => recovered });
