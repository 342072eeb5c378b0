import { afterEach, describe, expect, it, vi } from 'vitest';
import { browserLifecycle, type LifecycleSignal } from '../../src/io/lifecycle.ts';

afterEach(() => vi.restoreAllMocks());

/** Watches until the end of the test. */
function watch() {
  const signals: LifecycleSignal[] = [];
  const stop = browserLifecycle.watch((signal) => signals.push(signal));
  return { signals, stop };
}
const become = (visibility: DocumentVisibilityState) => {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(visibility);
  document.dispatchEvent(new Event('visibilitychange'));
};

describe('the lifecycle of a page', () => {
  it('says what happens to it, in one word each', () => {
    const { signals, stop } = watch();
    window.dispatchEvent(new Event('offline'));
    window.dispatchEvent(new Event('online'));
    become('hidden');
    become('visible');
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
    document.dispatchEvent(new Event('resume'));
    stop();
    expect(signals).toEqual(['offline', 'online', 'visible', 'thawed', 'visible', 'thawed']);
  });

  it('says nothing once it is not watched any more; stopping twice is fine', () => {
    const { signals, stop } = watch();
    stop();
    stop();
    window.dispatchEvent(new Event('online'));
    document.dispatchEvent(new Event('resume'));
    become('visible');
    expect(signals).toEqual([]);
  });

  it('takes away every listener it has added', () => {
    const held = new Map<string, number>();
    for (const source of [window, document]) {
      const count = (by: number) => (type: string) => void held.set(type, (held.get(type) ?? 0) + by);
      vi.spyOn(source, 'addEventListener').mockImplementation(count(1));
      vi.spyOn(source, 'removeEventListener').mockImplementation(count(-1));
    }
    const { stop } = watch();
    expect([...held].sort()).toEqual([
      ['offline', 1],
      ['online', 1],
      ['pageshow', 1],
      ['resume', 1],
      ['visibilitychange', 1],
    ]);
    stop();
    expect([...held.values()]).toEqual([0, 0, 0, 0, 0]);
  });

  it('never listens to beforeunload or unload: these cost the back-forward cache, or fire without an unload', () => {
    const add = vi.spyOn(window, 'addEventListener');
    watch().stop();
    expect(add.mock.calls.map(([type]) => type)).not.toEqual(expect.arrayContaining(['beforeunload']));
    expect(add.mock.calls.map(([type]) => type)).not.toEqual(expect.arrayContaining(['unload']));
  });

  it('knows whether anybody is looking and what the device says of its network', () => {
    expect([browserLifecycle.hidden, browserLifecycle.onLine]).toEqual([false, true]);
    become('hidden');
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
    expect([browserLifecycle.hidden, browserLifecycle.onLine]).toEqual([true, false]);
  });
});
