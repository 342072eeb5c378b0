/** What the pages of the scenarios have on `window`; `Holdfast` is declared for all browser tests. */

interface Window {
  here: typeof import('./in-page.ts');
}
