import type { Problem } from "./problem";

/**
 * Waits for a promise at most so long. A plain race: an AbortController costs a request more than the timer does, and when the
 * request ends the runtime drops what is still going on in it.
 */
export async function within<T>(milliseconds: number, promise: Promise<T>, late: () => Problem): Promise<T> {
  let timer: number | null = null;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
