/** Every scenario, in the order of the report. They know no engine: each runs in all of them. */

import type { Scenario } from './scenario.ts';
import { conversation } from './scenarios/conversation.ts';
import { cuts } from './scenarios/cuts.ts';
import { deadLinks } from './scenarios/dead-links.ts';
import { long } from './scenarios/long.ts';
import { pageLife } from './scenarios/page-life.ts';
import { refusals } from './scenarios/refusals.ts';
import { workers } from './scenarios/workers.ts';

export const scenarios: readonly Scenario[] = [...conversation, ...cuts, ...deadLinks, ...refusals, ...pageLife, ...workers, ...long];
