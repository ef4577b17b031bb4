/** Whole numbers below a bound, the same ones for the same seed: a run that fails can be run again. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** For what is asked hundreds of thousands of times: a matcher each would be most of the test's time. */
export function must(holds: boolean, words: () => string): void {
  if (!holds) {
    throw new Error(words());
  }
}
