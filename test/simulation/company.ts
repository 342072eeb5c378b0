/**
 * Who is there in a simulated world: the client whose connections suffer, an observer whose connections do not, and others, who come from
 * elsewhere. What has to hold is judged from outside, by what the store is told and what the clients see, and knows nothing of frames:
 * nobody is gone who is only away for a moment, whoever looks sees what makes sense, and in the end what is so.
 */

import { Client } from '../../src/client.ts';
import type { MemberChange } from '../../src/server/broker.ts';
import type { ServerClient } from '../../src/server/client.ts';
import type { Host } from '../../src/server/host.ts';
import type { Member } from '../../src/wire/frames.ts';
import { WorldBroker } from './members.ts';
import { type Destination, Network } from './network.ts';
import type { Random } from './random.ts';
import type { Step } from './script.ts';
import { SimClock, type Timeline } from './time.ts';
import { Tracks } from './tracks.ts';
import { type Deed, type Shown, Visitor } from './visitor.ts';

/** What nobody has changed for so long has to be known to whoever has a connection; milliseconds. */
const SETTLED = 1_000;
/** Who has the client, and who the observer. */
export const CLIENT = 'ida';
export const OBSERVER = 'olga';
const ROOM = 'room-0';

export interface CompanyHost {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly client: Client;
  /** The process that runs now. */
  server(): Host | undefined;
  /** The client as the server sees it by the attempt that counts. */
  current(): ServerClient | undefined;
  log(line: string): void;
  violated(text: string): void;
}

interface Observer {
  readonly client: Client;
  readonly network: Network;
  readonly visitor: Visitor;
}

export class Company {
  readonly #host: CompanyHost;
  readonly #visitor: Visitor;
  #observer: Observer | undefined;
  #broker: WorldBroker | undefined;
  #destination: Destination | undefined;
  /** Who is there in truth, in the process that runs now. */
  readonly #there = new Map<string, Member>();
  /** How often a member was gone; for ever, where its process is dead. */
  readonly #gone = new Map<string, number>();
  readonly #tracks: Tracks;
  /** The last number that one of the others has shown. */
  #others = 0;
  /** When something happened last that the observer has to know a moment later, and whether it was seen to. */
  #changedAt = 0;
  #isChecked = true;
  /** Set while the client has not heard that it is to ask again. */
  #isStale = false;
  #listed: readonly Member[] | undefined;

  constructor(host: CompanyHost) {
    this.#host = host;
    this.#visitor = this.#visit(CLIENT, host.client);
    this.#tracks = new Tracks({ now: () => host.timeline.now, violated: host.violated });
  }

  #visit(name: string, client: Client): Visitor {
    const { log, violated } = this.#host;
    return new Visitor({ name, room: ROOM, client, gone: (id) => this.#gone.get(id) ?? 0, log, violated });
  }

  // The server.

  /** The broker of a new process: it knows nobody. In some worlds a store beside the process keeps who is there. */
  broker(clock: SimClock, createId: () => string): WorldBroker {
    const { timeline } = this.#host;
    const random = this.#host.random.fork();
    const latency = random.pick([undefined, undefined, 0, 10, 100]);
    const broker = new WorldBroker({ clock, createId }, latency === undefined ? undefined : { timeline, clock, random, latency });
    broker.store.watch(ROOM, (change) => this.#changed(change));
    this.#broker = broker;
    return broker;
  }

  /** The process takes connections. */
  began(destination: Destination): void {
    this.#destination = destination;
    if (this.#observer) this.#observer.network.destination = destination;
  }

  /** The process is dead, and with it all who were there. */
  died(): void {
    this.#broker = this.#destination = undefined;
    for (const id of this.#there.keys()) this.#gone.set(id, Infinity);
    this.#there.clear();
    this.#tracks.clear();
    this.#touched();
    if (!this.#observer) return;
    const { network } = this.#observer;
    network.destination = undefined;
    for (const link of [...network.links]) link.cut({ client: true, server: false, inFlight: 0 });
  }

  /** By which the server knows a client, in the `from` of its members. */
  nameOf(client: ServerClient, process: number): string {
    return this.#tracks.nameOf(client, process);
  }

  #changed({ set, gone }: MemberChange): void {
    this.#touched();
    const id = set ? set.id : gone;
    const before = this.#there.get(id);
    if (set) {
      this.#there.set(id, set);
      if (before && numberOf(before) > numberOf(set)) this.#host.violated(`member ${id} went back to ${numberOf(set)}`);
      return;
    }
    this.#there.delete(id);
    this.#gone.set(id, (this.#gone.get(id) ?? 0) + 1);
    if (!before) return this.#host.violated(`member ${id} is gone, and was never there`);
    const { by, n } = before.data as Shown;
    const visitor = by === CLIENT ? this.#visitor : by === OBSERVER ? this.#observer?.visitor : undefined;
    if (visitor?.hasLeft(n) === false) this.#tracks.judge(before);
  }

  #touched(at = this.#host.timeline.now): void {
    this.#changedAt = Math.max(this.#changedAt, at);
    this.#isChecked = false;
  }

  /** After everything that happens. */
  look(): void {
    const { timeline, current, server } = this.#host;
    this.#tracks.follow(this.#there);
    if (!this.#visitor.isConfirmed) this.#isStale = false;
    else if (!this.#isStale) this.#tracks.confirm(current());
    if (!this.#observer) return;
    const { visitor } = this.#observer;
    const isObserver = ({ principal }: ServerClient) => (principal as { id: string }).id === OBSERVER;
    if (visitor.isConfirmed) this.#tracks.confirm(server()?.clients.findLast(isObserver));
    if (this.#isChecked || timeline.now - this.#changedAt <= SETTLED) return;
    this.#isChecked = true;
    if (visitor.isCurrent) visitor.check(this.#truth);
  }

  get #truth(): Map<string, number> {
    return new Map([...this.#there.values()].map((member) => [member.id, numberOf(member)]));
  }

  // Steps.

  perform(step: Extract<Step, { do: 'presence' | 'observer' } | { do: 'others' }>): void {
    if (step.do === 'others') this.#bustle(step);
    else if (step.do === 'observer') this.#observe(step.how);
    else this.#visitor.perform(step.how);
  }

  /** It comes with its first deed. */
  #observe(how: Deed): void {
    this.#touched();
    this.#observer ??= this.#come();
    this.#observer.visitor.perform(how);
  }

  #come(): Observer {
    const { timeline, log } = this.#host;
    const clock = new SimClock(timeline);
    const random = this.#host.random.fork();
    const network = new Network(timeline, this.#host.random.fork(), clock, (line) => log(`observer ${line}`));
    network.destination = this.#destination;
    const client = new Client('ws://server.test/', {
      clock,
      random: () => random.next(),
      lifecycle: { hidden: false, onLine: true, watch: () => () => {} },
      createSocket: () => network.connect(),
      auth: () => OBSERVER,
    });
    return { client, network, visitor: this.#visit(OBSERVER, client) };
  }

  #bustle({ how, count }: Pick<Extract<Step, { do: 'others' }>, 'how' | 'count'>): void {
    const { store } = this.#broker ?? {};
    if (!store) return;
    const { random } = this.#host;
    if (how === 'demand') return this.#demand();
    if (how === 'interrupt') {
      this.#touched(this.#host.timeline.now + count);
      return this.#broker?.interrupt(count);
    }
    for (let i = 0; i < count; i++) {
      const id = `other ${how === 'crowd' ? i : random.between(0, 4)}`;
      const data: Shown = { by: 'other', n: ++this.#others, ...(how === 'crowd' && { padding: 'x'.repeat(1_500) }) };
      if (how === 'go') void store.leave(ROOM, id);
      else void store.enter(ROOM, { id, data });
    }
  }

  /** The server wants the channel asked for again: until then nobody has said that it is there, and the grace runs. */
  #demand(): void {
    if (!this.#visitor.isConfirmed) return; // what is under way would be taken for the answer
    this.#isStale = true;
    this.#broker?.demand(ROOM);
    this.#tracks.unconfirm();
  }

  /** Faults stopped a while ago: the observer knows everything, and leaves. */
  dismiss(): void {
    if (!this.#observer) return;
    const { client, visitor } = this.#observer;
    if (!visitor.isCurrent && visitor.isWatching) this.#host.violated('the observer does not know who is there');
    visitor.perform('close');
    void client.close();
  }

  /** One of everything, which has to work. */
  probe(): void {
    const show = () => this.#visitor.wanted !== undefined && this.#visitor.perform('show');
    const { timeline } = this.#host;
    for (const after of [0, 1, 10]) timeline.at(timeline.now + after, show); // before it is answered, too
    this.#bustle({ how: 'come', count: 1 });
  }

  /** Asks the server who is there, for the judgement. */
  ask(): void {
    void this.#host
      .server()
      ?.members(ROOM)
      .then((members) => {
        this.#listed = members;
      });
  }

  /** @param name by which the server knows the client now */
  finish(name: string): void {
    const { violated } = this.#host;
    if (!this.#listed) return violated('nobody knows who is there in the end');
    const truth = new Map(this.#listed.map((member) => [member.id, numberOf(member)]));
    this.#visitor.check(truth);
    const ours = this.#listed.filter(({ data }) => (data as Shown).by !== 'other');
    const { wanted } = this.#visitor;
    const found = ours.map(({ from, data }) => `${from} with ${(data as Shown).n}`).join(', ');
    const expected = wanted === undefined ? '' : `${name} with ${wanted}`;
    if (found !== expected) violated(`[${found}] are there in the end, instead of [${expected}]`);
  }
}

function numberOf({ data }: Member): number {
  return (data as Shown).n;
}
