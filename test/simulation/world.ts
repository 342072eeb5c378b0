/** One simulated world: a real client, a real server, a network between them, one thread, one line of time. */

import { Client } from '../../src/client.ts';
import { CallError, ClosedError, QueueFullError, SessionLostError, TimeoutError } from '../../src/errors.ts';
import type { LifecycleSignal } from '../../src/io/lifecycle.ts';
import type { Receipt } from '../../src/receipt.ts';
import type { ServerClient } from '../../src/server/client.ts';
import type { Peer } from '../../src/server/connection.ts';
import { Host } from '../../src/server/host.ts';
import type { HandlerContext } from '../../src/server/options.ts';
import { stream } from '../../src/stream.ts';
import { StreamItem } from '../../src/streaming.ts';
import { upload } from '../../src/upload.ts';
import { decodePayload } from '../../src/wire/codec.ts';
import { CLIENT, Company, OBSERVER } from './company.ts';
import { Network } from './network.ts';
import { Oracle } from './oracle.ts';
import { Random } from './random.ts';
import { type Step, TROUBLE, write } from './script.ts';
import { SimClock, Timeline } from './time.ts';
import { GRACE } from './tracks.ts';
import { Uploads } from './uploads.ts';

/** How long everything may take to become quiet once faults have stopped. */
const CALM = 180_000;
/** How long a slow handler takes, at most. */
const SLOW = 4_000;
/** How long a connection has to have been there for a call to be answered for certain, though its link may be dead by now. */
const PATIENCE = 20_000;
/** How long after the faults have stopped the observer leaves. */
const OBSERVED = 40_000;
/** How long a session outlives its connection. */
const TTL = 30_000;
/** How long the credentials of the client last, from and to: longer than any waiting for them. */
const TOKENS_LAST = [45_000, 120_000] as const;

/** How an event is sent. */
export interface Sender {
  send(name: string, data: unknown, options?: object): Receipt;
}

/** What is put to the test: how an event is sent, so that a naive session can stand in the place of a real one. */
export interface Subject {
  readonly name: string;
  /** Whether it claims that nothing is lost without a word. */
  readonly nothingLost: boolean;
  /** Whether the server offers sessions. */
  readonly sessions: boolean;
  /** How long who is away is still there, in milliseconds. @default what everybody is told */
  readonly grace?: number;
  /** How something is uploaded. @default as the client does it */
  readonly upload?: typeof upload;
  wrap(client: Client): Sender;
}

export interface Outcome {
  readonly seed: number;
  readonly steps: readonly Step[];
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly events: number;
}

export async function simulate(seed: number, subject: Subject, given?: readonly Step[]): Promise<Outcome> {
  const random = new Random(seed);
  const steps = given ?? write(random.fork());
  const world = new World(seed, subject);
  return world.run(steps);
}

class World {
  readonly #timeline = new Timeline();
  readonly #random: Random;
  readonly #seed: number;
  readonly #subject: Subject;
  readonly #oracle: Oracle;
  readonly #trace: string[] = [];
  readonly #page = new SimClock(this.#timeline);
  readonly #network: Network;
  readonly #client: Client;
  readonly #sender: Sender;
  readonly #uploads: Uploads;
  readonly #company: Company;
  readonly #signals = new Set<(signal: LifecycleSignal) => void>();
  readonly #subscriptions = new Map<number, () => void>();
  readonly #disturbances: Record<'client' | 'server', string[]> = { client: [], server: [] };
  /** Channels on which the server publishes as soon as somebody subscribes. */
  readonly #eager = new Set<string>();
  #openSince = Infinity;
  #host: Host | undefined;
  #serverClock: SimClock | undefined;
  #onLine = true;
  #auth = { client: 0, server: 0, fails: false };
  /** Whether the credentials of the client are good for a while only; else for ever. */
  readonly #expires: boolean;
  #isHealed = false;
  #ids = 0;
  /** Processes of the server so far. */
  #servers = 0;
  /** Times that the client asked for its credentials: the last one is the attempt that counts. */
  #attempts = 0;
  /** Who the client was at the server when its connection opened, unless it was closed since. */
  #known: { readonly peer: ServerClient; readonly server: number } | undefined;
  #events = 0;

  constructor(seed: number, subject: Subject) {
    this.#seed = seed;
    this.#subject = subject;
    this.#random = new Random(seed ^ 0x5eed);
    this.#expires = seed % 2 === 0;
    this.#oracle = new Oracle(subject);
    this.#network = new Network(this.#timeline, this.#random.fork(), this.#page, (line) => this.#log(line));
    const random = this.#random.fork();
    this.#client = new Client('ws://server.test/', {
      clock: this.#page,
      random: () => random.next(),
      lifecycle: {
        hidden: false,
        ...this.#lifecycle(),
      },
      createSocket: () => this.#network.connect(),
      auth: () => this.#credentials(),
      outbox: { maxBytes: 200_000 },
    });
    this.#sender = subject.wrap(this.#client);
    const telling = { log: (line: string) => this.#log(line), violated: (text: string) => this.#oracle.surprised(text) };
    const [client, timeline] = [this.#client, this.#timeline];
    this.#uploads = new Uploads({ client, clock: this.#page, random: this.#random.fork(), upload: subject.upload ?? upload, ...telling });
    const [server, current] = [() => this.#host, () => this.#current];
    this.#company = new Company({ client, timeline, random: this.#random.fork(), server, current, ...telling });
    this.#startServer();
    this.#listen();
  }

  async run(steps: readonly Step[]): Promise<Outcome> {
    const report = globalThis.reportError;
    globalThis.reportError = (error: unknown) => this.#reported(error);
    try {
      for (const step of steps)
        this.#timeline.at(step.at, () => {
          this.#log(JSON.stringify(step));
          this.#perform(step);
        });
      this.#timeline.at(TROUBLE + 31_000, () => this.#heal());
      this.#timeline.at(TROUBLE + 31_000 + OBSERVED, () => this.#company.dismiss());
      this.#timeline.at(TROUBLE + 31_000 + 2 * CALM - 1_000, () => this.#company.ask());
      await this.#until(TROUBLE + 31_000 + CALM);
      this.#probe();
      await this.#until(TROUBLE + 31_000 + 2 * CALM);
      this.#judge();
      void this.#client.close(); // nothing happens any more: time has stopped
    } catch (error) {
      this.#oracle.surprised(`the simulation itself failed: ${error instanceof Error ? error.stack : error}`);
    } finally {
      globalThis.reportError = report;
    }
    return { seed: this.#seed, steps, violations: this.#oracle.violations, trace: this.#trace, events: this.#events };
  }

  async #until(time: number): Promise<void> {
    await new Promise(setImmediate);
    while (this.#timeline.step(time)) {
      this.#events++;
      await new Promise(setImmediate); // every promise that can settle without time passing has settled
      this.#company.look();
    }
  }

  #log(line: string): void {
    this.#trace.push(`${(this.#timeline.now / 1_000).toFixed(3).padStart(8)} ${line}`);
  }

  #lifecycle(): { readonly onLine: boolean; watch(listener: (signal: LifecycleSignal) => void): () => void } {
    const isOnLine = () => this.#onLine;
    return {
      get onLine() {
        return isOnLine();
      },
      watch: (listener) => {
        this.#signals.add(listener);
        return () => this.#signals.delete(listener);
      },
    };
  }

  #reported(error: unknown): void {
    if (!(error instanceof Expected)) this.#oracle.surprised(`reported: ${error instanceof Error ? error.stack : error}`);
  }

  // The server.

  #startServer(): void {
    const clock = new SimClock(this.#timeline);
    const generation = ++this.#servers;
    const random = this.#random.fork();
    const createId = () => `${Math.floor(random.next() * 2 ** 48)}`;
    const broker = this.#company.broker(clock, createId);
    broker.subscribe('talk', ({ payload }) => {
      if (!clock.isFrozen) this.#oracle.executed((decodePayload(payload) as { call: string }).call, generation);
    });
    const host: Host = new Host({
      broker,
      clock,
      authenticate: async (token) => {
        if (token === OBSERVER) return { id: OBSERVER, attempt: 0, until: Infinity };
        await this.#wait(clock, this.#auth.server);
        return { id: CLIENT, ...(token as Token) };
      },
      expiresAt: (principal) => (principal as Token).until,
      nameOf: (client) => this.#company.nameOf(client, generation),
      presence: { grace: this.#subject.grace ?? GRACE },
      heartbeat: { interval: 5_000, timeout: 3_000 },
      sessions: this.#subject.sessions && { ttl: TTL },
      limits: { buffered: 300_000 },
      createId,
      onerror: (error) => this.#reported(error),
      handlers: {
        events: {
          note: (data, { client }) => {
            if (clock.isFrozen) return; // dead, of what came before it in the message
            const { id, poison } = data as { id: number; poison?: number };
            if (poison !== undefined && !this.#isHealed) return this.#poisoned(id, poison);
            this.#log(`server handles ${id}`);
            this.#oracle.handled(id, `${generation}.${client.id}`);
            this.#disturb('server', client);
          },
        },
        methods: mortal(
          clock,
          this.#methods(clock, generation, () => host),
        ),
      },
      authorize: ({ action, channel }) => {
        // Right behind the confirmation, in the same message.
        if (action === 'subscribe' && this.#eager.delete(channel)) queueMicrotask(() => this.#publish(Number(channel.slice(-1)), true));
        return action === 'presence' && random.chance(0.3) ? this.#wait(clock, random.between(0, 200)).then(() => true) : true;
      },
    });
    this.#host = host;
    this.#serverClock = clock;
    let address = 0;
    const accept = (peer: Peer) => host.accept(peer, { url: '/', headers: {}, address: `10.0.0.${++address}` });
    this.#network.destination = { clock, accept };
    this.#company.began(this.#network.destination);
  }

  #methods(clock: SimClock, generation: number, host: () => Host): Methods {
    const executed = (params: unknown) => this.#oracle.executed((params as { call: string }).call, generation);
    return {
      add: (params) => {
        executed(params);
        return (params as { call: string }).call;
      },
      slow: async (params) => {
        executed(params);
        await this.#wait(clock, this.#random.between(0, SLOW));
        return (params as { call: string }).call;
      },
      throws: (params) => {
        executed(params);
        throw new CallError('ABORTED', 'no');
      },
      never: (params) => {
        executed(params);
        return new Promise(() => {});
      },
      count: (params, context) => this.#counting(clock, params as Counted, context),
      upload: (params, context) => this.#uploads.handle(clock, params, context),
      snapshot: async (params) => {
        const { channel } = params as { channel: string };
        const position = host().position(channel);
        const number = this.#oracle.count(channel); // in the same step
        const { offset } = (await position) ?? {};
        await this.#wait(clock, this.#random.between(0, 300));
        return { number, offset };
      },
    };
  }

  async *#counting(clock: SimClock, { name, count, cursors }: Counted, { cursor }: HandlerContext): AsyncGenerator<unknown> {
    if (clock.isFrozen) return; // it was asked for, and has died before it began
    this.#oracle.producing(name, 1);
    try {
      for (let i = Number(cursor ?? 0) + 1; i <= count; i++) {
        if (this.#random.chance(0.3)) await this.#wait(clock, this.#random.between(0, 300));
        yield cursors ? new StreamItem(i, i) : i;
      }
    } finally {
      this.#oracle.producing(name, -1);
    }
  }

  #wait(clock: SimClock, ms: number): Promise<void> {
    return ms === 0 ? Promise.resolve() : new Promise((resolve) => clock.setTimeout(resolve, ms));
  }

  /** The client as the server sees it by the attempt that counts. */
  get #current(): ServerClient | undefined {
    return this.#host?.clients.find(({ principal }) => (principal as { attempt: number }).attempt === this.#attempts);
  }

  /** The same, or the newest, where that attempt has not come through yet. */
  get #peer(): ServerClient | undefined {
    return this.#current ?? this.#host?.clients.findLast(({ principal }) => (principal as { id: string }).id === CLIENT);
  }

  #nameOf(peer: ServerClient | undefined): string {
    return `${this.#servers}.${peer?.id}`;
  }

  // The client.

  async #credentials(): Promise<Token> {
    // On a connection that is open they are fresh ones for the same attempt.
    const client = this.#client as Client | undefined; // not there yet while it is made
    const attempt = client?.state.status === 'open' ? this.#attempts : ++this.#attempts;
    const { fails } = this.#auth;
    this.#auth.fails = false;
    await this.#wait(this.#page, this.#auth.client);
    if (fails) throw new Error('the token server is away');
    const now = (this.#serverClock ?? this.#page).wall();
    return { attempt, until: this.#expires ? now + this.#random.between(...TOKENS_LAST) : Number.MAX_SAFE_INTEGER };
  }

  /** Whether the session goes on is not up to the client alone: it has to, where the server still has it. */
  #opened(resumed: boolean): void {
    const [known, peer] = [this.#known, this.#current];
    const isThere = this.#host !== undefined && known?.server === this.#servers && known.peer.isOpen;
    if (resumed && isThere && known.peer !== peer) this.#oracle.surprised('the client goes on with the session of somebody else');
    if (!resumed && isThere && this.#subject.sessions) this.#oracle.surprised('a session was given up that the server still has');
    this.#known = peer && { peer, server: this.#servers };
    this.#oracle.opened(resumed);
    this.#uploads.opened(resumed);
  }

  #listen(): void {
    const client = this.#client;
    client.addEventListener('open', ({ resumed }) => {
      this.#log(`open, ${resumed ? 'resumed' : 'new session'}`);
      this.#opened(resumed);
    });
    client.addEventListener('statechange', ({ state }) => {
      if (state.status === 'closing' || state.status === 'closed') this.#known = undefined;
      if (state.status === 'closed' && state.cause !== 'user')
        this.#oracle.surprised(`it is closed for good: ${state.cause} ${state.code}`);
      this.#openSince = state.status === 'open' ? this.#timeline.now : Infinity;
    });
    client.addEventListener('close', ({ code, reason }) => {
      this.#log(`lost ${code}${reason && ` (${reason})`}`);
      this.#oracle.closed(code);
    });
    client.addEventListener('drop', ({ kind, data, reason }) => {
      if (kind !== 'event') return;
      const { id } = data as { id: number };
      this.#log(`dropped ${id} ${reason}`);
      this.#oracle.dropped(id, reason);
    });
    client.on('note', (data) => {
      const { id, session } = data as { id: number; session: string };
      this.#log(`client handles ${id}`);
      this.#oracle.clientHandled(session, id);
      this.#disturb('client');
    });
    const executed = (params: unknown) => {
      const { call } = params as { call: string };
      this.#oracle.executed(call, 0);
      return call;
    };
    client.handle('add', executed);
    client.handle('slow', async (params) => {
      const call = executed(params);
      await this.#wait(this.#page, this.#random.between(0, SLOW));
      return call;
    });
    for (const number of [0, 1, 2]) this.#channel(number).addEventListener('gap', () => this.#gap(`news-${number}`));
  }

  #gap(channel: string): void {
    this.#log(`gap ${channel}`);
    this.#oracle.gap(channel, this.#servers);
  }

  #channel(number: number) {
    return this.#client.channel(`news-${number}`);
  }

  /** A handler misbehaves, in the middle of its batch. */
  #disturb(side: 'client' | 'server', peer?: ServerClient): void {
    const how = this.#disturbances[side].pop();
    if (how) this.#log(`${side} handler: ${how}`);
    if (how === 'throw') throw new Expected();
    if (how === 'reconnect') side === 'client' ? this.#client.reconnect() : peer?.close(4_600);
    if (how === 'send') side === 'client' ? this.#send('plain') : this.#serverSend(peer);
  }

  #send(how: string, poison?: number): void {
    const id = ++this.#ids;
    const options = {
      ...(how === 'volatile' && { volatile: true }),
      ...(how === 'ttl' && { ttl: 2_000 }),
      ...(how === 'key' && { key: 'latest' }),
      ...(how === 'priority' && { priority: 1 }),
    };
    this.#oracle.sent(id, how);
    const receipt = this.#accepted(id, () => this.#sender.send('note', { id, poison }, options));
    if (!receipt) return;
    if (how === 'volatile' || !this.#subject.sessions) return; // nobody acknowledges
    receipt.acknowledged.then(
      () => this.#oracle.acknowledged(id),
      (error: unknown) => {
        if (receipt.status === 'dropped') return;
        this.#log(`unknown ${id} ${error instanceof Error ? error.name : error}`);
        this.#oracle.unknown(id, error instanceof ClosedError);
      },
    );
  }

  /** What `send` returns, unless the outbox is full. */
  #accepted(id: number, send: () => Receipt): Receipt | undefined {
    try {
      return send();
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      this.#log(`no room for ${id}`);
      this.#oracle.dropped(id);
      return undefined;
    }
  }

  #serverSend(peer: ServerClient | undefined): void {
    if (!peer?.isOpen) return;
    const id = ++this.#ids;
    const session = this.#nameOf(peer);
    this.#oracle.serverSent(session, id);
    if (!peer.send('note', { id, session }) && peer.isOpen) this.#oracle.surprised(`send to ${session}, which is open, was refused`);
  }

  /** Follows a call, or a publish, to its end. */
  #follow(
    what: string,
    ask: (call: string, signal: AbortSignal) => Promise<unknown>,
    { abortAfter, by = 'client', idempotent = false }: FollowOptions = {},
  ): void {
    const call = `call ${++this.#ids}`;
    const aborting = new AbortController();
    this.#oracle.called(call, what, by, idempotent);
    if (abortAfter !== undefined) this.#page.setTimeout(() => aborting.abort(), abortAfter);
    ask(call, aborting.signal).then(
      (result) => {
        if (result !== call && what !== 'publish') this.#oracle.surprised(`${call} came back as ${JSON.stringify(result)}`);
        this.#oracle.settled(call, 'result');
      },
      (error: unknown) => {
        this.#log(`${call} ${error instanceof Error ? error.name : error}`);
        const isPatient = this.#timeline.now - this.#openSince > PATIENCE;
        if (error instanceof TimeoutError && isPatient && what !== 'never' && by === 'client') this.#oracle.unanswered(call);
        this.#oracle.settled(call, outcomeOf(error));
      },
    );
  }

  // Steps.

  #perform(step: Step): void {
    switch (step.do) {
      case 'send':
        for (let i = 0; i < step.count; i++) this.#send(step.how);
        break;
      case 'poison':
        this.#send('poison', step.for);
        break;
      case 'call':
        this.#call(step);
        break;
      case 'publish':
        for (let i = 0; i < step.count; i++) {
          const { idempotent } = step;
          const publish = async (call: string) => this.#client.channel('talk').publish({ call }, { idempotent }).acknowledged;
          this.#follow('publish', publish, { idempotent });
        }
        break;
      case 'stream':
        void this.#read(step);
        break;
      case 'upload':
        void this.#uploads.begin(step);
        break;
      case 'presence':
      case 'observer':
      case 'others':
        this.#company.perform(step);
        break;
      case 'subscribe':
        if (step.eager) this.#eager.add(`news-${step.channel}`);
        this.#subscribe(step.channel);
        break;
      case 'unsubscribe':
        this.#oracle.unsubscribed(`news-${step.channel}`);
        this.#eager.delete(`news-${step.channel}`);
        this.#subscriptions.get(step.channel)?.();
        this.#subscriptions.delete(step.channel);
        break;
      case 'serverSend':
        for (let i = 0; i < step.count; i++) this.#serverSend(this.#peer);
        break;
      case 'serverPublish':
        for (let i = 0; i < step.count; i++) this.#publish(step.channel);
        break;
      case 'serverCall': {
        const peer = this.#peer;
        if (!peer) break;
        const clock = this.#serverClock as SimClock;
        const ask = (call: string, signal: AbortSignal) => heardIn(clock, peer.call(step.method, { call }, { signal }));
        this.#follow(step.method, ask, { by: `server ${this.#servers}` });
        break;
      }
      case 'reconnect':
        this.#client.reconnect();
        break;
      case 'close':
        void this.#client.close({ drain: step.drain });
        this.#timeline.at(this.#timeline.now + step.for, () => void this.#client.connect(), this.#page);
        break;
      case 'cut':
        this.#network.current?.cut(step);
        break;
      case 'hole':
        this.#network.current?.hole(...step.ways);
        break;
      case 'latency':
        this.#network.latency = step.ms;
        break;
      case 'unreachable':
        this.#network.reach = step.how;
        this.#timeline.at(this.#timeline.now + step.for, () => {
          this.#network.reach = 'open';
        });
        break;
      case 'restart':
        this.#restart(step.for, step.polite);
        break;
      case 'vanish':
        this.#vanish(step.for);
        break;
      case 'slow':
        this.#network.slowness = 50;
        this.#timeline.at(this.#timeline.now + step.for, () => {
          this.#network.slowness = 0;
        });
        break;
      case 'freeze':
        this.#page.freeze();
        this.#timeline.at(this.#timeline.now + step.for, () => this.#thaw(step.thawed));
        break;
      case 'jump':
        this.#page.jump(step.ms);
        break;
      case 'signal':
        this.#onLine = step.signal !== 'offline';
        this.#say(step.signal);
        break;
      case 'slowAuth':
        this.#auth[step.side] = step.ms;
        break;
      case 'failAuth':
        this.#auth.fails = true;
        break;
      case 'disturb':
        this.#disturbances[step.side].push(step.how);
        break;
      default:
        step satisfies never;
    }
  }

  /** Reads a stream to its end, or leaves it. */
  async #read({ count, cursors, buffer, breakAfter }: Extract<Step, { do: 'stream' }>): Promise<void> {
    const name = `stream ${++this.#ids}`;
    this.#oracle.reads(name, count, cursors);
    let read = 0;
    try {
      for await (const item of stream(this.#client, 'count', { name, count, cursors }, { buffer })) {
        this.#oracle.read(name, item as number);
        if (++read === breakAfter) return this.#oracle.left(name, 'broken');
        if (this.#random.chance(0.3)) await this.#wait(this.#page, this.#random.between(0, 500));
      }
      this.#oracle.left(name, 'ended');
    } catch (error) {
      this.#log(`${name} ${error instanceof Error ? error.name : error}`);
      const isExcused = [SessionLostError, ClosedError, QueueFullError].some((excuse) => error instanceof excuse);
      this.#oracle.left(name, isExcused ? 'lost' : 'failed');
    }
  }

  #call({ method, idempotent, abortAfter }: Extract<Step, { do: 'call' }>): void {
    const ask = (call: string, signal: AbortSignal) => this.#client.call(method, { call }, { signal, idempotent });
    this.#follow(method, ask, { abortAfter, idempotent });
  }

  #subscribe(number: number): void {
    if (this.#subscriptions.has(number)) return;
    const name = `news-${number}`;
    const loads = number === 2;
    this.#oracle.subscribed(name, loads);
    const load = async ({ signal }: { readonly signal: AbortSignal }) => {
      const snapshot = (await this.#client.call('snapshot', { channel: name }, { signal })) as { number: number; offset: number };
      if (!signal.aborted) this.#oracle.loaded(name, snapshot.number);
      return snapshot;
    };
    const heard = (data: unknown) => {
      const { status } = this.#channel(number).state;
      if (status !== 'subscribed' && !loads) this.#oracle.surprised(`${name} delivered ${data} while it is ${status}`);
      this.#oracle.heard(name, data as number);
    };
    const { unsubscribe } = this.#channel(number).subscribe(heard, loads ? { load } : {});
    this.#subscriptions.set(number, unsubscribe);
  }

  /** @param isConfirmed whether the server knows that the client is subscribed, though the client may not know it yet */
  #publish(number: number, isConfirmed = this.#channel(number).state.status === 'subscribed'): void {
    const name = `news-${number}`;
    const publish = (message: number) => this.#host?.publish(name, message) ?? 0;
    this.#oracle.published(name, (message) => (publish(message) > 0 && isConfirmed ? 1 : 0), this.#servers);
  }

  /** The process ends, politely or not, and another one starts which knows nothing. */
  #restart(ms: number, polite: boolean): void {
    const host = this.#host;
    if (!host) return;
    if (polite) void host.close({ drain: 100, retryAfter: 500 });
    this.#host = undefined;
    const clock = this.#serverClock;
    this.#timeline.at(this.#timeline.now + (polite ? 200 : 0), () => {
      if (clock?.isFrozen === false) this.#perish(ms);
    });
  }

  /** The process dies of an event, in the middle of its batch. */
  #poisoned(id: number, ms: number): void {
    this.#log(`server dies of ${id}`);
    this.#oracle.killed(id);
    this.#host = undefined;
    this.#perish(ms);
  }

  /** Nothing of the process happens any more. */
  #perish(ms: number): void {
    this.#serverClock?.freeze();
    this.#oracle.died(`server ${this.#servers}`);
    this.#oracle.perished();
    this.#uploads.died();
    this.#company.died();
    this.#network.destination = undefined;
    for (const link of [...this.#network.links]) link.cut({ client: true, server: false, inFlight: 0 });
    this.#timeline.at(this.#timeline.now + ms, () => this.#startServer());
  }

  /** The process is away for a while, with everything that is connected to it, and comes back as it was: somebody keeps its sessions. */
  #vanish(ms: number): void {
    const { destination } = this.#network;
    if (!destination) return;
    this.#network.destination = undefined;
    for (const link of [...this.#network.links]) link.cut({ client: true, server: true, inFlight: 0 });
    this.#timeline.at(this.#timeline.now + ms, () => {
      if (destination.clock === this.#serverClock && !destination.clock.isFrozen) this.#network.destination = destination;
    });
  }

  #thaw(says: boolean): void {
    if (!this.#page.isFrozen) return;
    this.#page.thaw();
    if (this.#openSince < Infinity) this.#openSince = this.#timeline.now; // nothing was heard meanwhile
    if (says) this.#say('thawed');
  }

  #say(signal: LifecycleSignal): void {
    this.#timeline.at(
      this.#timeline.now,
      () => {
        for (const listener of [...this.#signals]) listener(signal);
      },
      this.#page,
    );
  }

  /** Faults stop. Connections that lead into a hole still do: somebody has to notice. */
  #heal(): void {
    this.#log('faults stop');
    this.#isHealed = true;
    this.#network.latency = 20;
    this.#network.slowness = 0;
    this.#network.reach = 'open';
    this.#auth = { client: 0, server: 0, fails: false };
    this.#disturbances.client.length = this.#disturbances.server.length = 0;
    this.#thaw(true);
    const wasOffline = !this.#onLine;
    this.#onLine = true;
    if (wasOffline) this.#say('online'); // else nobody says anything: it has to come back by itself
    if (this.#client.state.status === 'closed') void this.#client.connect();
  }

  /** One of everything, which has to work. */
  #probe(): void {
    this.#log('one of everything');
    this.#send('plain');
    this.#follow('add', (call) => this.#client.call('add', { call }));
    this.#serverSend(this.#peer);
    for (const number of [0, 1, 2]) this.#publish(number);
    this.#company.probe();
  }

  #judge(): void {
    const { state, stats } = this.#client;
    this.#oracle.finish({
      session: this.#nameOf(this.#peer),
      status: state.status,
      queued: stats.queuedMessages,
      pending: stats.pendingCalls,
    });
    this.#uploads.finish();
    this.#company.finish(this.#nameOf(this.#peer));
    if (this.#host?.clients.length !== 1) this.#oracle.surprised(`the server has ${this.#host?.clients.length} clients in the end`);
    if (stats.unacknowledgedMessages > 0)
      this.#oracle.surprised(`${stats.unacknowledgedMessages} messages are not acknowledged in the end`);
    if (this.#host && this.#host.connections !== 1)
      this.#oracle.surprised(`the server has ${this.#host.connections} connections in the end`);
    if (this.#network.links.size > 20) this.#oracle.surprised(`${this.#network.links.size} connections were never told to be over`);
  }
}

/** What the client says about itself: which attempt it is, and until when that is good. */
interface Token {
  readonly attempt: number;
  readonly until: number;
}

interface Counted {
  readonly name: string;
  readonly count: number;
  readonly cursors: boolean;
}

interface FollowOptions {
  readonly abortAfter?: number | undefined;
  readonly by?: string;
  readonly idempotent?: boolean;
}

/** What a handler throws that was told to throw. */
class Expected extends Error {}

type Methods = Record<string, (params: unknown, context: HandlerContext) => unknown>;

/** A process that is dead hears no answer, though it came in the same message. */
function heardIn(clock: SimClock, answer: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    answer.then(
      (result) => clock.isFrozen || resolve(result),
      (error) => clock.isFrozen || reject(error),
    );
  });
}

/** A process that is dead executes nothing of what came in the same message. */
function mortal(clock: SimClock, methods: Methods): Methods {
  const wrapped = Object.entries(methods).map(([name, method]): [string, Methods[string]] => [
    name,
    (params, context) => (clock.isFrozen ? new Promise(() => {}) : method(params, context)),
  ]);
  return Object.fromEntries(wrapped);
}

function outcomeOf(error: unknown): 'refused' | 'maybe' | 'never' | 'aborted' {
  if (error instanceof CallError) return 'refused';
  if (error instanceof QueueFullError) return 'never';
  if (error instanceof SessionLostError || error instanceof TimeoutError) return error.maybeExecuted ? 'maybe' : 'never';
  return error instanceof Error && error.name === 'AbortError' ? 'aborted' : 'maybe';
}
