/** The life of the page around a connection: network hints, visibility, suspension. Works without a document (workers, Node). */

/**
 * What may happen to a page. `online`, `offline`, `network` and `visible` are hints. `thawed` is a fact: the page was suspended (frozen or in the
 * back-forward cache), and no socket survives that (Chromium closes it just after the event; measured in version 156).
 *
 * - `online`, `visible`: asks an open link for a sign of life, and cuts a wait short
 * - `offline`, `network` (it is another one, or differs in kind): asks an open link for a sign of life
 * - `thawed`: replaces an open link, and cuts a wait short
 */
export type LifecycleSignal = 'online' | 'offline' | 'network' | 'visible' | 'thawed';

/**
 * Where the library learns about the page. Give one of your own in an app shell that knows better, or in tests.
 *
 * @example
 * const lifecycle: Lifecycle = {
 *   hidden: false,
 *   onLine: true,
 *   watch(listener) {
 *     const woke = () => listener('visible');
 *     app.addEventListener('resume', woke);
 *     return () => app.removeEventListener('resume', woke);
 *   },
 * };
 * const socket = new ReconnectingWebSocket('wss://example.com/chat', { lifecycle });
 */
export interface Lifecycle {
  /** Whether nobody is looking: the default backoff waits longer then. */
  readonly hidden: boolean;
  /** What the device says about its network; `true` where it says nothing. It can be wrong both ways. */
  readonly onLine: boolean;
  /**
   * Calls back for every signal.
   *
   * @param listener what to call
   * @returns how to stop
   */
  watch(listener: (signal: LifecycleSignal) => void): () => void;
}

type Source = Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;

/** The lifecycle of the browser's page or worker. In runtimes without one it is always visible, online and silent. */
export const browserLifecycle: Lifecycle = {
  get hidden() {
    return globalThis.document?.visibilityState === 'hidden';
  },
  get onLine() {
    return globalThis.navigator?.onLine !== false;
  },
  watch(listener) {
    const undo: (() => void)[] = [];
    const on = (source: Source | undefined, type: string, signal: (event: Event) => LifecycleSignal | false) => {
      if (typeof source?.addEventListener !== 'function') return;
      const handler = (event: Event) => {
        const what = signal(event);
        if (what) listener(what);
      };
      source.addEventListener(type, handler);
      undo.push(() => source.removeEventListener(type, handler));
    };
    const page = globalThis.document as Document | undefined;
    // In Node `globalThis` has no addEventListener, which is checked above; in a worker it is the worker.
    const global = globalThis as unknown as Source;
    on(global, 'online', () => 'online');
    on(global, 'offline', () => 'offline');
    // Chromium: a changed address is no event, but the figures of the new network are (Network Information API).
    on((globalThis.navigator as { readonly connection?: Source } | undefined)?.connection, 'change', () => 'network');
    on(page, 'visibilitychange', () => page?.visibilityState === 'visible' && 'visible');
    // iOS may return to an app with pageshow and no visibilitychange (flarum/framework#4590).
    on(global, 'pageshow', (event) => ((event as PageTransitionEvent).persisted ? 'thawed' : 'visible'));
    on(page, 'resume', () => 'thawed');
    return () => {
      for (const stop of undo.splice(0)) stop();
    };
  },
};
