/** What a page of the measurement does, whatever library it has: a message whenever that says it is connected, and one a second when told to. */

/** What an application hears from its library. */
export interface Ear {
  /** There is a connection, the library's own handshake included. */
  opened(): void;
  lost(): void;
  /** This message will not be sent: an event, an exception or a rejected promise says so. */
  refused(text: string): void;
}

/** A library, as the page uses it. */
export interface Link {
  send(text: string): void;
}
export type Connect = (url: string, ear: Ear) => Link;

/** What happened to the page itself, and when, by `Date.now()`. */
export interface Heard {
  readonly what: string;
  readonly at: number;
}

const SECOND = 1_000;

export class App {
  /** How often the library said that it is connected. */
  opened = 0;
  /** How often it said that it is not any more. */
  lost = 0;
  /** Numbered messages written so far. */
  written = 0;
  /** Those of which the library says that they will not be sent. */
  readonly refused: string[] = [];
  readonly heard: Heard[] = [];
  /** By how many milliseconds a timer of this page was late at most, the times included when nothing of it ran. */
  late = 0;
  readonly #connect: Connect;
  #link: Link | undefined;
  #writer: ReturnType<typeof setInterval> | undefined;

  constructor(connect: Connect) {
    this.#connect = connect;
    for (const type of ['visibilitychange', 'freeze', 'resume']) {
      document.addEventListener(type, () => this.#hear(type === 'visibilitychange' ? document.visibilityState : type));
    }
    for (const type of ['online', 'offline']) window.addEventListener(type, () => this.#hear(type));
    this.#watchTimers();
    window.addEventListener('pageshow', ({ persisted }) => this.#hear(persisted ? 'pageshow from the cache' : 'pageshow'));
  }

  start(url: string): void {
    this.#link = this.#connect(url, {
      opened: () => this.send(`open ${++this.opened}`),
      lost: () => this.lost++,
      refused: (text) => this.refused.push(text),
    });
  }

  send(text: string): void {
    try {
      this.#link?.send(text);
    } catch {
      this.refused.push(text);
    }
  }

  /** From now on a numbered message every second, the first in a second. */
  write(): void {
    this.#writer = setInterval(() => this.note(), SECOND);
  }

  rest(): void {
    clearInterval(this.#writer);
  }

  /** One numbered message, with so many bytes more. */
  note(bytes = 0): void {
    this.send(`note ${++this.written}${bytes > 0 ? ` ${'x'.repeat(bytes)}` : ''}`);
  }

  #watchTimers(): void {
    const due = performance.now() + SECOND;
    setTimeout(() => {
      this.late = Math.max(this.late, performance.now() - due);
      this.#watchTimers();
    }, SECOND);
  }

  #hear(what: string): void {
    this.heard.push({ what, at: Date.now() });
  }
}

declare global {
  interface Window {
    app: App;
  }
}

/** Makes the page's `app`. */
export function install(connect: Connect): void {
  window.app = new App(connect);
}
