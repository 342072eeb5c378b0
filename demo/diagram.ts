/** The state machine as a drawing, in a wide and a narrow layout, with the current state lit. */

import type { State } from 'holdfast';
import { byId } from './dom.ts';

type Status = State['status'];

interface Layout {
  readonly width: number;
  readonly height: number;
  /** Of every node. */
  readonly box: readonly [width: number, height: number];
  /** The middle of each node. */
  readonly nodes: Readonly<Record<Status, readonly [x: number, y: number]>>;
  /** The ways from state to state, as SVG paths. */
  readonly ways: Readonly<Record<string, string>>;
}

const wide: Layout = {
  width: 760,
  height: 236,
  box: [124, 44],
  nodes: {
    idle: [70, 40],
    connecting: [284, 40],
    open: [498, 40],
    closing: [690, 40],
    offline: [150, 160],
    waiting: [418, 160],
    closed: [690, 160],
  },
  ways: {
    'idle connecting': 'M132 40H218',
    'connecting open': 'M346 40H432',
    'open waiting': 'M488 62L450 134',
    'waiting connecting': 'M386 138L330 66',
    'connecting waiting': 'M346 56L402 134',
    'connecting offline': 'M254 62L186 134',
    'offline connecting': 'M166 138L236 66',
    'open closing': 'M560 40H624',
    'closing closed': 'M690 62V134',
    'closed connecting': 'M690 182V218H290V66',
  },
};

const narrow: Layout = {
  width: 320,
  height: 268,
  box: [92, 40],
  nodes: {
    idle: [50, 28],
    connecting: [196, 28],
    offline: [50, 128],
    waiting: [166, 128],
    open: [270, 128],
    closed: [50, 232],
    closing: [236, 232],
  },
  ways: {
    'idle connecting': 'M96 28H146',
    'connecting open': 'M226 48L256 104',
    'open waiting': 'M224 128H216',
    'waiting connecting': 'M172 108L184 52',
    'connecting waiting': 'M204 48L190 104',
    'connecting offline': 'M160 48L86 104',
    'offline connecting': 'M66 108L148 52',
    'open closing': 'M268 148L252 208',
    'closing closed': 'M190 232H100',
    'closed connecting': 'M84 212L108 190V70L148 42',
  },
};

/** Draws both layouts; CSS shows the one that fits. Returns how to light a state. */
export function drawMachine(): (status: Status) => void {
  const drawings = [draw(wide, 'wide'), draw(narrow, 'narrow')];
  byId('drawing').append(...drawings);
  let previous: Status | undefined;
  return (status) => {
    if (status === previous) return;
    for (const drawing of drawings) {
      for (const element of drawing.querySelectorAll('.lit, .taken')) element.classList.remove('lit', 'taken');
      drawing.querySelector(`[data-node=${status}]`)?.classList.add('lit');
      drawing.querySelector(`[data-way="${previous} ${status}"]`)?.classList.add('taken');
    }
    previous = status;
  };
}

function draw({ width, height, box: [boxWidth, boxHeight], nodes, ways }: Layout, name: string): SVGElement {
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, class: name, 'aria-hidden': 'true' });
  const marker = shape('marker', {
    id: `arrow-${name}`,
    viewBox: '0 0 8 8',
    refX: 6,
    refY: 4,
    markerWidth: 7,
    markerHeight: 7,
    orient: 'auto-start-reverse',
  });
  marker.append(shape('path', { d: 'M0 0.5L7 4L0 7.5Z', class: 'tip' }));
  svg.append(marker);
  for (const [way, d] of Object.entries(ways)) {
    svg.append(shape('path', { d, class: 'way', 'data-way': way, 'marker-end': `url(#arrow-${name})` }));
  }
  for (const [status, [x, y]] of Object.entries(nodes)) {
    const node = shape('g', { class: 'node', 'data-node': status });
    const text = shape('text', { x, y: y + 5 });
    text.textContent = status;
    node.append(shape('rect', { x: x - boxWidth / 2, y: y - boxHeight / 2, width: boxWidth, height: boxHeight, rx: boxHeight / 2 }), text);
    svg.append(node);
  }
  return svg;
}

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
