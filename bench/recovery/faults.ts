/** What happens to the clients. Each returns the moment from which it is measured, by `Date.now()`. */

import { sleep } from '../compare/peer.ts';
import type { Browser, Tab } from './browser.ts';
import type { Stage } from './stage.ts';

export interface Scene {
  readonly name: string;
  readonly stage: Stage;
  readonly tab: Tab;
  /** The address of an empty page. */
  readonly elsewhere: string;
}

export interface Fault {
  readonly id: string;
  /** The first cell of its row. */
  readonly what: string;
  /** From what it is measured. */
  readonly since: string;
  /** Seconds between the first connection and the fault, in each repetition. */
  readonly settle: readonly number[];
  /** Whether the page writes a message every second. */
  readonly writes?: true;
  /** Whether it takes long: it is begun first. */
  readonly isLong?: true;
  /** Whether the page does not run, or is hidden, for a while. */
  readonly stops?: true;
  /** How it is done to one client; undefined where its page is not the same any more, */
  each?(scene: Scene): Promise<number | undefined>;
  /** or to all of a browser at once. */
  together?(scenes: readonly Scene[], browser: Browser): Promise<number>;
}

const THRICE = [7, 7, 7];
/** Where chance says most. */
const OFTEN = Array(9).fill(7);
/** A heartbeat is met at different moments. */
const PHASES = [7, 16, 26];
export const LATEST: readonly number[] = PHASES;
export const REPEATED = `${OFTEN.length} repetitions where the link is cut or the server restarts, of ${THRICE.length} elsewhere, of one on the slow link`;
/** How long a laptop sleeps, and a page is frozen or hidden, in seconds. */
const [SLEEP, FREEZE, HIDE, OFFLINE, HANG] = [45, 30, 5, 5, 30];

const now = () => Date.now();
const seconds = (count: number) => sleep(count * 1_000);

/** When the page last heard that. */
async function heard({ tab }: Scene, what: string): Promise<number | undefined> {
  return tab.page.evaluate((name) => window.app.heard.findLast((each) => each.what === name)?.at, what);
}

async function hole({ stage }: Scene): Promise<number> {
  stage.proxy.hole();
  return now();
}

async function restart({ stage }: Scene, away: number): Promise<number> {
  await stage.proxy.refuse();
  stage.proxy.cut('rst');
  stage.restart();
  await seconds(away);
  const moment = now();
  await stage.proxy.accept();
  return moment;
}

async function minimize({ tab }: Scene, isMinimized: boolean): Promise<void> {
  const bounds = { windowState: isMinimized ? 'minimized' : 'normal' } as const;
  await tab.session.send('Browser.setWindowBounds', { windowId: tab.window, bounds });
}

async function offline({ tab }: Scene, isOffline: boolean): Promise<void> {
  await tab.session.send('Network.emulateNetworkConditions', {
    offline: isOffline,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
}

async function asleep(scenes: readonly Scene[], browser: Browser, meanwhile: (scene: Scene) => void): Promise<number> {
  await browser.pause();
  for (const scene of scenes) meanwhile(scene);
  await seconds(SLEEP);
  const moment = now();
  browser.resume();
  return moment;
}

/** In the order of the rows. */
export const faults: readonly Fault[] = [
  {
    id: 'cut-rst',
    what: 'the link is cut (RST), the server is there',
    since: 'the cut',
    settle: OFTEN,
    async each({ stage }) {
      const moment = now();
      stage.proxy.cut('rst');
      return moment;
    },
  },
  {
    id: 'cut-fin',
    what: 'the link is cut (FIN), the server is there',
    since: 'the cut',
    settle: OFTEN,
    async each({ stage }) {
      const moment = now();
      stage.proxy.cut('fin');
      return moment;
    },
  },
  {
    id: 'restart-5',
    what: 'the server restarts, away for 5 s, a message every second',
    since: 'its return',
    settle: OFTEN,
    writes: true,
    each: (scene) => restart(scene, 5),
  },
  {
    id: 'restart-30',
    what: 'the server restarts, away for 30 s, a message every second',
    since: 'its return',
    settle: OFTEN,
    isLong: true,
    writes: true,
    each: (scene) => restart(scene, 30),
  },
  { id: 'dead-idle', what: 'the link goes dead, nothing is written', since: 'its death', settle: PHASES, isLong: true, each: hole },
  {
    id: 'dead-writing',
    what: 'the link goes dead, a message every second',
    since: 'its death',
    settle: PHASES,
    isLong: true,
    writes: true,
    each: hole,
  },
  {
    id: 'dead-up',
    what: 'the link goes dead up only, nothing is written',
    since: 'its death',
    settle: PHASES,
    isLong: true,
    async each({ stage }) {
      stage.proxy.hole('up');
      return now();
    },
  },
  {
    id: 'dead-down',
    what: 'the link goes dead down only, nothing is written',
    since: 'its death',
    settle: PHASES,
    isLong: true,
    async each({ stage }) {
      stage.proxy.hole('down');
      return now();
    },
  },
  {
    id: 'online',
    what: 'the link goes dead, 3 s later the page hears `online`, and nothing before',
    since: '`online`',
    settle: THRICE,
    isLong: true,
    async each(scene) {
      await hole(scene);
      await seconds(3);
      await scene.tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
      return heard(scene, 'online');
    },
  },
  {
    id: 'offline-online',
    what: `the link goes dead, the device is offline for ${OFFLINE} s, then online`,
    since: '`online`',
    settle: THRICE,
    isLong: true,
    async each(scene) {
      await hole(scene);
      await offline(scene, true);
      await seconds(OFFLINE);
      await offline(scene, false);
      await seconds(0.1);
      return heard(scene, 'online');
    },
  },
  {
    id: 'visible',
    what: `the link goes dead while the page is hidden for ${HIDE} s`,
    since: '`visibilitychange`',
    settle: THRICE,
    stops: true,
    isLong: true,
    async each(scene) {
      await minimize(scene, true);
      await hole(scene);
      await seconds(HIDE);
      await minimize(scene, false);
      await seconds(0.1);
      return heard(scene, 'visible');
    },
  },
  {
    id: 'sleep-cut',
    what: `the computer sleeps for ${SLEEP} s, the link is cut meanwhile`,
    since: 'waking up',
    settle: THRICE,
    stops: true,
    together: (scenes, browser) => asleep(scenes, browser, ({ stage }) => stage.proxy.cut('rst')),
  },
  {
    id: 'sleep-dead',
    what: `the computer sleeps for ${SLEEP} s, the link goes dead meanwhile`,
    since: 'waking up',
    settle: THRICE,
    stops: true,
    isLong: true,
    together: (scenes, browser) => asleep(scenes, browser, ({ stage }) => stage.proxy.hole()),
  },
  {
    id: 'frozen',
    what: `the page is hidden and frozen for ${FREEZE} s, a message every second while it runs`,
    since: '`resume`',
    settle: THRICE,
    stops: true,
    writes: true,
    async each(scene) {
      await minimize(scene, true);
      await scene.tab.session.send('Page.setWebLifecycleState', { state: 'frozen' });
      await seconds(FREEZE);
      await minimize(scene, false);
      await scene.tab.session.send('Page.setWebLifecycleState', { state: 'active' });
      await seconds(0.1);
      return heard(scene, 'resume');
    },
  },
  {
    id: 'bfcache',
    what: 'the user goes to another page for 5 s and back, a message every second while it runs',
    since: '`pageshow`',
    settle: THRICE,
    stops: true,
    writes: true,
    async each(scene) {
      const { page } = scene.tab;
      await page.goto(scene.elsewhere);
      await seconds(5);
      await page.goBack({ waitUntil: 'commit' });
      await seconds(0.1);
      return heard(scene, 'pageshow from the cache');
    },
  },
  {
    id: 'hang',
    what: `the link is cut, and for ${HANG} s no upgrade is answered, a message every second`,
    since: 'the server being well again',
    settle: THRICE,
    isLong: true,
    writes: true,
    async each({ stage }) {
      stage.proxy.up = 'hole';
      stage.proxy.cut('rst');
      await seconds(HANG);
      stage.proxy.hole();
      stage.proxy.up = 'pass';
      return now();
    },
  },
];
