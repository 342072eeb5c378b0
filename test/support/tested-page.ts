/** What both pages of the demo have in common, as a person uses them. */

import type { Page } from 'playwright-core';

/** Generous: a retry may wait 10 s, and the machine may be busy. */
export const DEADLINE = { timeout: 45_000 };

/** @typeParam Order the buttons that hurt */
export class TestedPage<Order extends string> {
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

  async state(wanted: string): Promise<void> {
    await this.page.waitForFunction((text) => document.getElementById('state')?.textContent === text, wanted, DEADLINE);
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
}
