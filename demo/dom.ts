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

/** Makes a list show these items, in order. What is there already stays as it is, with its focus, its selection and its place. */
export function sync<T>(
  list: HTMLElement,
  items: readonly T[],
  keyOf: (item: T) => string,
  draw: (item: T, row: HTMLLIElement) => void,
): void {
  const rows = new Map([...list.children].map((row) => [(row as HTMLElement).dataset['key'], row as HTMLLIElement]));
  let next = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const row = rows.get(key) ?? make('li');
    rows.delete(key);
    row.dataset['key'] = key;
    draw(item, row);
    if (row === next) next = row.nextElementSibling;
    else list.insertBefore(row, next);
  }
  for (const row of rows.values()) {
    // Whoever is on it goes on with its neighbour.
    if (row.contains(document.activeElement)) focusNear(row, list);
    row.remove();
  }
}

function focusNear(row: Element, list: HTMLElement): void {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  (neighbour?.querySelector('button') ?? list).focus();
}

/** A button that does nothing for now stays where the focus is. */
export function enable(button: HTMLButtonElement, isEnabled: boolean): void {
  button.setAttribute('aria-disabled', String(!isEnabled));
}

export function isEnabled(button: HTMLButtonElement): boolean {
  return button.getAttribute('aria-disabled') !== 'true';
}
