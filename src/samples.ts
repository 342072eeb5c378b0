/** What was measured: how often, the extremes and the mean of all, and percentiles of the last ones. */

/** A summary of measurements, in milliseconds; 0 where there are none. */
export interface Summary {
  /** How many there were. */
  readonly count: number;
  /** The shortest. */
  readonly min: number;
  /** The longest. */
  readonly max: number;
  /** All of them, through their number. */
  readonly mean: number;
  /** Half of the last 512 were no longer than this. */
  readonly p50: number;
  /** 90 in 100 of the last 512 were no longer than this. */
  readonly p90: number;
  /** 99 in 100 of the last 512 were no longer than this. */
  readonly p99: number;
}

const KEPT = 512;

export class Samples {
  readonly #last: number[] = [];
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  add(sample: number): void {
    this.#last[this.#count % KEPT] = sample;
    this.#count++;
    this.#sum += sample;
    this.#min = Math.min(this.#min, sample);
    this.#max = Math.max(this.#max, sample);
  }

  /** Sorted only when somebody looks. */
  get summary(): Summary {
    const sorted = [...this.#last].sort((a, b) => a - b);
    const percentile = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    const count = this.#count;
    return {
      count,
      min: count === 0 ? 0 : this.#min,
      max: this.#max,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: percentile(0.5),
      p90: percentile(0.9),
      p99: percentile(0.99),
    };
  }
}
