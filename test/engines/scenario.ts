/** One scenario: what it is, and how it goes in an engine. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerOptions } from '../../src/server/index.ts';
import { Cannot, type Engine, type Tab } from './engine.ts';
import { startWorld, type World } from './world.ts';

/**
 * Which scenarios run one after the other in a browser of their own. Only those of `quick` are part of `npm test`; the others take minutes, or
 * stop the whole browser.
 */
export type Lane = 'quick' | 'hidden' | 'away' | 'busy' | 'asleep' | 'forgotten' | 'frozen' | 'idle';

export interface Scenario {
  readonly title: string;
  readonly lane: Lane;
  readonly run: (trial: Trial) => Promise<void>;
}

/** What a scenario has to work with. */
export interface Trial {
  readonly engine: Engine;
  /** Starts servers and a proxy for this scenario. */
  world(options?: ServerOptions): Promise<World>;
  /** Opens a page of the world. */
  open(world: Pick<World, 'site'>, path?: string): Promise<Tab>;
  /** Puts away what the scenario has made itself, when it is over; the last first. */
  later(undo: () => unknown): void;
  /** A duration for the report; seconds. */
  measured(what: string, seconds: number): void;
  /** Something else for the report. */
  seen(what: string, words: string): void;
}

/** Defines a scenario. */
export const scenario = (title: string, run: Scenario['run'], lane: Lane = 'quick'): Scenario => ({ title, lane, run });

/**
 * Runs a scenario, and puts away whatever it has used.
 *
 * @param measures what was measured and seen is put there, in words
 */
export async function attempt({ run }: Scenario, engine: Engine, measures: Record<string, string> = {}): Promise<void> {
  const tabs: Tab[] = [];
  const undo: (() => unknown)[] = [];
  try {
    await run({
      engine,
      async world(options) {
        const world = await startWorld(options);
        undo.push(() => world.stop());
        return world;
      },
      async open({ site }, path = '/page') {
        const tab = await engine.open(site.url(path));
        tabs.push(tab);
        undo.push(() => tab.close().catch(() => {}));
        return tab;
      },
      later(each) {
        undo.push(each);
      },
      measured(what, seconds) {
        measures[what] = `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
      },
      seen(what, words) {
        measures[what] = words;
      },
    });
  } catch (error) {
    if (!(error instanceof Cannot)) for (const tab of tabs) await tellOf(tab, error);
    throw error;
  } finally {
    for (const each of undo.reverse()) await each();
  }
}

/** What the page has seen, added to the message of an error. */
async function tellOf(tab: Tab, error: unknown): Promise<void> {
  const said = tab.evaluate(() => {
    const { log, states, told, times, native } = window.here;
    return JSON.stringify({ log, states, told: told.length, times, sockets: native.sockets.map(({ readyState }) => readyState) });
  });
  const words = await said.catch((why: unknown) => `${why}`);
  if (error instanceof Error) error.message += `; the page: ${words}`;
}

/** Generous: reached only when something is broken; milliseconds. */
const DEADLINE = 30_000;

/**
 * Waits until that is so.
 *
 * @param within milliseconds
 * @throws Error that says what was waited for
 */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, within = DEADLINE): Promise<void> {
  const deadline = performance.now() + within;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${within / 1_000} s: ${what}`);
    await sleep(20);
  }
}

/** Waits until the page has written that line into its log so often. */
export const logged = (tab: Tab, line: string, times = 1, within = DEADLINE): Promise<void> =>
  until(
    `"${line}", ${times} times`,
    () => tab.evaluate((line, times) => window.here.log.filter((entry) => entry === line).length >= times, line, times),
    within,
  );

/** Numbers from 0. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
