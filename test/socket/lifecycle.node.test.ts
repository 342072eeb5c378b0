// @vitest-environment node
import { expect, it } from 'vitest';
import { browserLifecycle } from '../../src/io/lifecycle.ts';

it('where there is no page, the lifecycle is visible, online and silent', () => {
  expect([browserLifecycle.hidden, browserLifecycle.onLine]).toEqual([false, true]);
  const stop = browserLifecycle.watch(() => expect.unreachable());
  expect(stop).not.toThrow();
});
