/** The page made with one script tag, as a person uses it. */

import { DEADLINE, TestedPage } from './tested-page.ts';

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

export class ScriptTagPage extends TestedPage<Order> {
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

  async reconnects(atLeast: number): Promise<void> {
    await this.page.waitForFunction((count) => window.demo.counters.reconnects >= count, atLeast, DEADLINE);
  }
}
