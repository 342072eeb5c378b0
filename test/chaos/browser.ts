/**
 * Chaos with the client in a real browser: `npx tsx test/chaos/browser.ts --messages 100000 --cuts 500 --seed 1`, after `npm run build`. The
 * arguments are those of run.ts, and `--bundle`, the path of the script-tag bundle. Timers of a page are 4 ms apart: `--burst` is 5 unless given,
 * and what is written again has no bound unless `--resent` is.
 */

import { launch } from '../support/pages.ts';
import { optionsFrom } from './arguments.ts';
import { chaosInPage } from './page-end.ts';
import { tell } from './report.ts';

const { bundle, ...options } = optionsFrom(['--burst', '5', ...process.argv.slice(2)]);
const browser = await launch();
const report = await chaosInPage(options, browser, bundle);
await browser.close();
console.log(tell(report));
process.exitCode = report.violations.length > 0 ? 1 : 0;
