import type { Problem } from "./problem";

/**
 * Waits for a promise at most so long. One promise and one timer, on the way of every request: Promise.race makes several more, an
 * AbortController costs more still, and when the request ends the runtime drops what is still going on in it.
 */
export function within<T>(milliseconds: number, promise: Promise<T>, late: () => Problem): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
