/** Decides where each connection ends: at which byte, and how. All of it comes from the seed. */

import type { Random } from '../simulation/random.ts';
import type { Fate, FaultProxy, Passage, Way } from '../support/fault-proxy.ts';
import { FrameReader, type Place } from './frame-reader.ts';

type Kind = Fate['kind'];

/** How often something is to happen. */
export interface Dose {
  readonly cuts: number;
  readonly holes: number;
  readonly stalls: number;
}

/** How long a stall lasts, at most; milliseconds. */
const STALL = 60;
/** Of so many fates one is met while the connection is being made. */
const EARLY = 12;
/** Bytes in which it is made. */
const OPENING = 1_200;
/** Bytes between two fates before anything is known. */
const FIRST_GUESS = 20_000;

export class Cutter {
  /** What happened so far, by kind and by the place in the stream. */
  readonly met: Record<Kind, Record<Place, number>> = { cut: places(), hole: places(), stall: places() };
  /** Connections that ended before they met their fate. */
  strays = 0;
  readonly #random: Random;
  readonly #deck: Kind[];
  /** What part of the messages is still to come, from 1 to 0. */
  readonly #left: () => number;
  /** Connections that have not met their fate yet. */
  #armed = 0;
  #passed = 0;
  #isOn = false;
  /** The connection that was made last. */
  #last: { readonly passage: Passage; readonly readers: Record<Way, FrameReader> } | undefined;

  /**
   * @param proxy whose connections are cut
   * @param random where chance comes from
   * @param dose how often what happens
   * @param left what part of the messages is still to come, from 1 to 0
   */
  constructor(proxy: FaultProxy, random: Random, { cuts, holes, stalls }: Dose, left: () => number) {
    this.#random = random;
    this.#left = left;
    this.#deck = shuffled<Kind>([...times('cut', cuts), ...times('hole', holes), ...times('stall', stalls)], random);
    proxy.onpassage = (passage) => this.#await(passage);
  }

  /** Fates that are still to be met. */
  get pending(): number {
    return this.#deck.length + this.#armed;
  }

  /** How often it happened. */
  count(kind: Kind): number {
    return Object.values(this.met[kind]).reduce((sum, each) => sum + each, 0);
  }

  /** From now on connections meet their fate, that of now included. */
  start(): void {
    this.#isOn = true;
    if (this.#last) this.#plan(this.#last.passage, this.#last.readers);
  }

  /** From now on connections last. */
  stop(): void {
    this.#isOn = false;
  }

  #await(passage: Passage): void {
    const readers = { up: new FrameReader({ http: true }), down: new FrameReader({ http: true }) };
    passage.onbytes = (way, chunk) => {
      this.#passed += chunk.length;
      readers[way].read(chunk);
    };
    this.#last = { passage, readers };
    this.#plan(passage, readers);
  }

  #plan(passage: Passage, readers: Record<Way, FrameReader>): void {
    const kind = this.#isOn ? this.#deck.pop() : undefined;
    if (!kind) return;
    const way = this.#random.pick<Way>(['up', 'down']);
    const bytes = this.#random.between(1, this.#random.chance(1 / EARLY) && kind !== 'stall' ? OPENING : 2 * this.#distance());
    let isMet = false;
    this.#armed++;
    passage.onover = () => {
      if (isMet) return;
      this.#armed--;
      this.strays++;
      this.#deck.push(kind);
    };
    passage.after(bytes, way, this.#fate(kind), () => {
      isMet = true;
      this.#armed--;
      this.met[kind][readers[way].place]++;
      if (kind === 'stall') this.#stall(passage, readers);
    });
  }

  #stall(passage: Passage, readers: Record<Way, FrameReader>): void {
    setTimeout(
      () => {
        this.#plan(passage, readers);
        passage.resume();
      },
      this.#random.between(1, STALL),
    );
  }

  #fate(kind: Kind): Fate {
    const end = () => this.#random.pick(['fin', 'rst'] as const);
    if (kind === 'cut') return { kind, client: end(), server: end() };
    if (kind === 'hole') return { kind, ways: this.#random.pick<readonly Way[]>([['up'], ['down'], ['up', 'down']]) };
    return { kind };
  }

  /** Bytes of one way between two fates, on average, so that they spread over all that is still to come. */
  #distance(): number {
    const left = this.#left();
    if (left > 0.99) return FIRST_GUESS;
    const toCome = ((this.#passed / (1 - left)) * left) / 2;
    return Math.max(300, Math.round(toCome / (this.#deck.length + 1)));
  }
}

function places(): Record<Place, number> {
  return { http: 0, opening: 0, frame: 0, between: 0 };
}

function times(kind: Kind, count: number): Kind[] {
  return Array.from({ length: count }, () => kind);
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.between(0, i);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}
