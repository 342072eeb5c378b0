/**
 * Round trips, one a second, each an event that the server sends back. They are volatile, so that a cut loses them: a second without an answer
 * is a gap in the line.
 */

import type { Client } from 'holdfast';
import type { Demo } from './contract.ts';
import { byId, set } from './dom.ts';

const SECONDS = 60;
const WIDTH = 600;
const HEIGHT = 96;

/** One second: when it was asked, and how long the round trip took, in milliseconds, once that is known. */
interface Sample {
  readonly asked: number;
  trip?: number;
}

export function showRoundTrips(client: Client<Demo>): void {
  const samples: Sample[] = [];
  client.on('pong', (asked) => {
    const sample = samples.find((each) => each.asked === asked);
    if (sample) sample.trip = performance.now() - asked;
    draw(samples);
  });
  setInterval(() => {
    const asked = performance.now();
    samples.push({ asked });
    if (samples.length > SECONDS) samples.shift();
    draw(samples);
    if (client.state.status === 'open') client.send('ping', asked, { volatile: true });
    else set(byId('trip-latest'), '–');
  }, 1_000);
}

function draw(samples: readonly Sample[]): void {
  const trips = samples.flatMap(({ trip }) => trip ?? []);
  const latest = samples.findLast(({ trip }) => trip !== undefined)?.trip;
  const top = Math.max(20, ...trips);
  const x = (index: number) => ((SECONDS - samples.length + index) / (SECONDS - 1)) * WIDTH;
  const y = (trip: number) => HEIGHT - 4 - (trip / top) * (HEIGHT - 12);
  let path = '';
  let isDrawing = false;
  samples.forEach(({ trip }, index) => {
    if (trip !== undefined) path += `${isDrawing ? 'L' : 'M'}${x(index).toFixed(1)} ${y(trip).toFixed(1)}`;
    if (trip !== undefined && !isDrawing) path += 'h0.1'; // a single second is a dot
    isDrawing = trip !== undefined;
  });
  byId<SVGPathElement>('trips').setAttribute('d', path);
  set(byId('trip-latest'), latest === undefined ? '–' : milliseconds(latest));
  set(byId('trip-worst'), trips.length === 0 ? '–' : milliseconds(Math.max(...trips)));
}

function milliseconds(trip: number): string {
  return trip < 10 ? `${trip.toFixed(1)} ms` : `${Math.round(trip)} ms`;
}
