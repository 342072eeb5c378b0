/** The little that this page needs of a framework. Text is text, whatever it looks like: nothing here makes HTML of it. */

/** The element with that id, which the page has. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no #${id}`);
  return element as Element as T;
}

/** A new element with these properties and contents. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...contents: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...contents);
  return element;
}

/** Sets a text and data attributes, where they are others: what is not new is not read out again. */
export function set(element: HTMLElement | SVGElement, text: string, data: Record<string, string> = {}): void {
  if (element.textContent !== text) element.textContent = text;
  for (const [name, value] of Object.entries(data)) if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** Calls `draw` before the next frame, however often it is asked to. */
export function drawer(draw: () => void): () => void {
  let drawing = false;
  return () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
    });
  };
}
