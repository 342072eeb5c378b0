/** The page made with one script tag, as a person uses it. */

import type { Page } from 'playwright-core';

export type Order = 'drop' | 'mute' | 'refuse' | 'restart';

export interface Counters {
  readonly typed: number;
  readonly queued: number;
  readonly sent: number;
  readonly echoed: number;
  readonly 'sent again': number;
  readonly dropped: number;
  readonly reconnects: number;
  readonly wrong: number;
}

declare global {
  interface Window {
    readonly demo: { readonly socket: EventTarget & { readonly state: { readonly status: string } }; readonly counters: Counters };
  }
}

/** Generous: a retry may wait 10 s, and the machine may be busy. */
const DEADLINE = { timeout: 45_000 };

export class ScriptTagPage {
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
  async sendTenWhenLost(): Promise<{ counters: Promise<Counters> }> {
    const handle = await this.page.evaluateHandle(() => ({
      counters: new Promise<Counters>((resolve) => {
        const sendTen = () => {
          document.getElementById('ten')?.click();
          resolve(window.demo.counters);
        };
        window.demo.socket.addEventListener('close', sendTen, { once: true });
      }),
    }));
    return { counters: handle.evaluate(({ counters }) => counters) };
  }

  counters(): Promise<Counters> {
    return this.page.evaluate(() => window.demo.counters);
  }

  async state(wanted: string): Promise<void> {
    await this.page.waitForFunction((text) => document.getElementById('state')?.textContent === text, wanted, DEADLINE);
  }

  async reconnects(atLeast: number): Promise<void> {
    await this.page.waitForFunction((count) => window.demo.counters.reconnects >= count, atLeast, DEADLINE);
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

  async logged(text: string): Promise<void> {
    await this.page.waitForFunction((part) => document.getElementById('timeline')?.textContent?.includes(part), text, DEADLINE);
  }
}
