/** What this tab remembers when it is reloaded, or left and come back to. A new visit begins with nothing. */

const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
const comesBack = navigation?.type === 'reload' || navigation?.type === 'back_forward';

/** What was remembered under that name before; from now on what `what` returns is remembered when the page goes. */
export function remember<T>(name: string, what: () => T): T | undefined {
  const key = `holdfast-demo-${name}`;
  addEventListener('pagehide', () => sessionStorage.setItem(key, JSON.stringify(what())));
  const stored = comesBack ? sessionStorage.getItem(key) : null;
  sessionStorage.removeItem(key); // a copy of this tab is another one
  return stored === null ? undefined : (JSON.parse(stored) as T);
}
