/** How a page looks: what moves, what sticks out, what cannot be read, and what axe finds. */

import { createRequire } from 'node:module';
import type { AxeResults, RunOptions } from 'axe-core';
import type { Page } from 'playwright-core';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds wrong, with all its rules: one line each. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: axe });
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(where: Document, options: RunOptions): Promise<AxeResults> } };
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  });
}

/** Where everything is that must not move. */
export function layoutOf(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('section, section > *, button:not(#outbox button), input, dd, td, ol, ul, #state, #verdict')].map(
      (element) => {
        const { x, y, height } = element.getBoundingClientRect();
        return `${element.tagName} ${element.id} at ${Math.round(x)}, ${Math.round(y)}, ${Math.round(height)} high`;
      },
    ),
  );
}

/** What sticks out of its panel or of the page. */
export function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const out = [...document.querySelectorAll('section *')].filter((element) => {
      const panel = element.closest('section')?.getBoundingClientRect();
      return panel && element.getBoundingClientRect().right > panel.right - 1;
    });
    return [
      ...(scrollWidth > clientWidth ? [`page: ${scrollWidth}`] : []),
      ...out.map(({ tagName, textContent }) => `${tagName}: ${textContent}`),
    ];
  });
}

/** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
export function paleTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const rgb = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (color: string) => {
      const [red = 0, green = 0, blue = 0] = rgb(color).map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element: Element | null): string => {
      const color = element ? getComputedStyle(element).backgroundColor : 'rgb(255, 255, 255)';
      return rgb(color)[3] === 0 ? behind(element?.parentElement ?? null) : color;
    };
    const speaking = [...document.querySelectorAll('body *')].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim()),
    );
    const shown = speaking.filter((element) => element.getClientRects().length > 0);
    const texts = shown.map((element) => ({ what: element.textContent, color: getComputedStyle(element).color, element }));
    const placeholders = [...document.querySelectorAll('input')].map((element) => ({
      what: element.placeholder,
      color: getComputedStyle(element, '::placeholder').color,
      element,
    }));
    return [...texts, ...placeholders].flatMap(({ what, color, element }) => {
      const [dark = 0, light = 0] = [luminance(color), luminance(behind(element))].sort((a, b) => a - b);
      const contrast = (light + 0.05) / (dark + 0.05);
      return contrast < 4.5 ? [`${contrast.toFixed(2)}: ${what}`] : [];
    });
  });
}
