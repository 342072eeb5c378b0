/** What the test vectors leave out: fields of frames that no vector has missing, ill or null. */

import type { Side, Vector } from './vectors.ts';

type Guard = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Guard>>;

/** Values of every kind: a field that takes them all can have no wrong one. */
const KINDS: readonly unknown[] = [null, true, 0, '', [], {}];

/** The fields that somebody may receive and that are not in the vectors as they should be, in words. */
export function gaps(vectors: readonly Vector[], to: Side, shapes: Readonly<Record<string, Shape>>): string[] {
  const received = vectors.flatMap((vector) => {
    const frame = vector.to === to && frameOf(vector.receives);
    return frame ? [{ frame, isViolation: vector.expects.close !== undefined }] : [];
  });
  return Object.entries(shapes).flatMap(([type, shape]) => {
    const frames = received.filter(({ frame }) => frame['type'] === type);
    const violations = frames.filter(({ isViolation }) => isViolation).map(({ frame }) => frame);
    const accepted = frames.filter(({ isViolation }) => !isViolation).map(({ frame }) => frame);
    const found = accepted.length > 0 ? [] : [`${type} is never accepted`];
    for (const [field, guard] of Object.entries(shape)) {
      const isRequired = !guard(undefined);
      const isFree = KINDS.every(guard);
      if (isRequired && !violations.some((frame) => !Object.hasOwn(frame, field))) found.push(`${type} without ${field}`);
      if (!isFree && !violations.some((frame) => Object.hasOwn(frame, field) && !guard(frame[field])))
        found.push(`${type} with an ill ${field}`);
      if (!isRequired && field !== 'seq' && !accepted.some((frame) => frame[field] === null)) found.push(`${type} with null for ${field}`);
    }
    return found;
  });
}

/** The one frame of a message that is JSON. */
function frameOf(message: Vector['receives']): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(String(message));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
