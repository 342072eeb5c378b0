/** The demo page as a person uses it, and what is to be seen on it. */

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

  /** Where everything is that must not move. */
  layout(): Promise<string[]> {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('section, button, input, dd, ol, #state, #verdict')].map((element) => {
        const { x, y, height } = element.getBoundingClientRect();
        return `${element.tagName} ${element.id} at ${Math.round(x)}, ${Math.round(y)}, ${Math.round(height)} high`;
      }),
    );
  }

  /** What sticks out of its panel or of the page. */
  overflowing(): Promise<string[]> {
    return this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const out = [...document.querySelectorAll('section *')].filter((element) => {
        const panel = element.closest('section')?.getBoundingClientRect();
        return panel && element.getBoundingClientRect().right > panel.right - 1;
      });
      return [
        ...(scrollWidth > clientWidth ? [`page: ${scrollWidth}`] : []),
        ...out.map(({ tagName, textContent }) => `${tagName}: ${textContent}`),
      ];
    });
  }

  /** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
  pale(): Promise<string[]> {
    return this.page.evaluate(() => {
      const rgb = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
      const luminance = (color: string) => {
        const [red = 0, green = 0, blue = 0] = rgb(color).map((value) => {
          const part = value / 255;
          return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const behind = (element: Element | null): string => {
        const color = element ? getComputedStyle(element).backgroundColor : 'rgb(255, 255, 255)';
        return rgb(color)[3] === 0 ? behind(element?.parentElement ?? null) : color;
      };
      const speaking = [...document.querySelectorAll('body *')].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim()),
      );
      const shown = speaking.filter((element) => element.getClientRects().length > 0);
      const texts = shown.map((element) => ({ what: element.textContent, color: getComputedStyle(element).color, element }));
      const placeholders = [...document.querySelectorAll('input')].map((element) => ({
        what: element.placeholder,
        color: getComputedStyle(element, '::placeholder').color,
        element,
      }));
      return [...texts, ...placeholders].flatMap(({ what, color, element }) => {
        const [dark = 0, light = 0] = [luminance(color), luminance(behind(element))].sort((a, b) => a - b);
        const contrast = (light + 0.05) / (dark + 0.05);
        return contrast < 4.5 ? [`${contrast.toFixed(2)}: ${what}`] : [];
      });
    });
  }
}
