/** What the scenarios need of a browser; `chromium.ts`, `firefox.ts` and `webkit.ts` have it. */

export interface Engine {
  readonly name: EngineName;
  readonly version: string;
  /** Of the process that was started: all others of the browser descend from it. */
  readonly pid: number;
  /** Opens a page of its own, in front of the others. */
  open(url: string): Promise<Tab>;
  close(): Promise<void>;
}

export type EngineName = 'Chromium' | 'Firefox' | 'WebKitGTK';

/** A page. What an engine has no means for throws a {@link Cannot}. */
export interface Tab {
  goto(url: string): Promise<void>;
  /** Runs a function in the page, which sees nothing but its arguments, and waits for what it returns. */
  evaluate<A extends unknown[], R>(run: (...args: A) => R | Promise<R>, ...args: A): Promise<R>;
  /** Back to where it was before. */
  back(): Promise<void>;
  /** Somebody looks at another page instead. */
  hide(): Promise<void>;
  show(): Promise<void>;
  freeze(): Promise<void>;
  resume(): Promise<void>;
  offline(): Promise<void>;
  online(): Promise<void>;
  /** The network is of another kind from now on. */
  roam(): Promise<void>;
  close(): Promise<void>;
}

/** How to start an engine. */
export interface Launcher {
  readonly name: EngineName;
  /** What has to be installed, and is not; empty where all is there. */
  missing(): string[];
  launch(): Promise<Engine>;
}

/** An engine has no means for what a scenario wants. */
export class Cannot extends Error {
  override readonly name = 'Cannot';
}
