/** The demo page as a person uses it. */

import type { Page } from 'playwright-core';
import type { DemoHandle } from '../../demo/main.ts';

export type Order = 'drop' | 'mute' | 'refuse' | 'restart' | 'slow';
export type Counts = ReturnType<DemoHandle['verdict']>;

/** Generous: a retry may wait 10 s, and the machine may be busy. */
const DEADLINE = { timeout: 45_000 };

export class DemoPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async type(text: string): Promise<void> {
    await this.page.fill('#text', text);
    await this.page.keyboard.press('Enter');
  }

  async sendTen(): Promise<void> {
    await this.page.click('#ten');
  }

  /** Presses a button that hurts, and returns when the server has done as it was told. */
  async press(order: Order): Promise<void> {
    const answered = this.page.waitForResponse((response) => response.url().includes(`/control/${order}`));
    await this.page.click(`[data-order=${order}]`);
    await answered;
  }

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

  async state(wanted: string): Promise<void> {
    await this.page.waitForFunction((text) => document.getElementById('state')?.textContent === text, wanted, DEADLINE);
  }

  /** Waits until it is connected, and does not wait for the next attempt. */
  async connected(): Promise<void> {
    const { status } = await this.page.evaluate(() => (window as unknown as { demo: DemoHandle }).demo.client.state);
    if (status === 'waiting') await this.page.click('#reconnect');
    await this.state('Connected');
  }

  /** Waits for the verdict of the page about itself: its colour and its sentence. */
  async verdict(kind: 'good' | 'wait' | 'bad', sentence: string): Promise<void> {
    await this.page.waitForFunction(
      (wanted) => {
        const verdict = document.getElementById('verdict');
        return `${verdict?.dataset['verdict']}: ${verdict?.textContent}` === wanted;
      },
      `${kind}: ${sentence}`,
      DEADLINE,
    );
  }

  /** Waits until some element says this, or a part of it. */
  async says(id: string, text: string): Promise<void> {
    await this.page.waitForFunction(
      ([where = '', part = '']) => document.getElementById(where)?.textContent?.includes(part),
      [id, text],
      DEADLINE,
    );
  }

  async logged(text: string): Promise<void> {
    await this.says('timeline', text);
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
