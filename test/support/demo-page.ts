/** The demo page as a person uses it. */

import type { DemoHandle } from '../../demo/main.ts';
import { DEADLINE, TestedPage } from './tested-page.ts';

export type Order = 'drop' | 'mute' | 'refuse' | 'restart' | 'slow';
export type Counts = ReturnType<DemoHandle['verdict']>;

export class DemoPage extends TestedPage<Order> {
  /** Lets the page send ten at the very moment when it learns that its connection is lost; resolves to the counters right after. */
  async sendTenWhenLost(): Promise<{ counts: Promise<Counts> }> {
    const handle = await this.page.evaluateHandle(() => {
      const { demo } = window as unknown as { demo: DemoHandle };
      return {
        counts: new Promise<Counts>((resolve) => {
          const sendTen = () => {
            document.getElementById('ten')?.click();
            resolve(demo.verdict());
          };
          demo.client.addEventListener('close', sendTen, { once: true });
        }),
      };
    });
    return { counts: handle.evaluate(({ counts }) => counts) };
  }

  counts(): Promise<Counts> {
    return this.page.evaluate(() => (window as unknown as { demo: DemoHandle }).demo.verdict());
  }

  /** What the plain WebSocket beside it has come to. */
  twin(): Promise<DemoHandle['twin']['counts']> {
    return this.page.evaluate(() => (window as unknown as { demo: DemoHandle }).demo.twin.counts);
  }

  /** Under which name the page writes. */
  me(): Promise<string> {
    return this.page.innerText('#me');
  }

  /** Waits until so many messages in the room are said to have come to that. */
  async fates(fate: string, count: number): Promise<void> {
    await this.page.waitForFunction(
      ([wanted, number]) =>
        [...document.querySelectorAll('#messages .fate')].filter(({ textContent }) => textContent === wanted).length === number,
      [fate, count] as const,
      DEADLINE,
    );
  }

  /** Waits until it is connected, and does not wait for the next attempt. */
  async connected(): Promise<void> {
    const { status } = await this.page.evaluate(() => (window as unknown as { demo: DemoHandle }).demo.client.state);
    if (status === 'waiting') await this.page.click('#reconnect');
    await this.state('Connected');
  }

  /** Which elements grow, or make their panel grow, when they say this. Put back before anybody sees it. */
  grown(texts: Record<string, string>): Promise<string[]> {
    return this.page.evaluate(
      (all) =>
        Object.entries(all).flatMap(([id, text]) => {
          const element = document.getElementById(id);
          const panel = element?.closest('section');
          if (!element || !panel) return [`there is no #${id}`];
          const [before, height] = [element.textContent, panel.offsetHeight];
          element.textContent = text;
          const grown = panel.offsetHeight - height;
          element.textContent = before;
          return grown === 0 ? [] : [`${id}: ${grown} px`];
        }),
      texts,
    );
  }

  /** The texts in the room, in order. */
  async texts(): Promise<string[]> {
    return (await this.page.locator('#messages .said').allInnerTexts()).reverse();
  }
}
