/** How long to wait between attempts, and when to stop trying. */

const INITIAL_MS = 50;
const FACTOR = 2;
const MAX_MS = 2000;

/** Exponential delays with jitter, within a total patience. */
export class Backoff {
  #patienceMs: number;
  #stepMs = INITIAL_MS;
  #failingSinceMs: number | undefined;

  /** @param patienceMs time of failing, since the last success, after which `nextDelay` gives undefined. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Begins anew; a new patience counts from now on. */
  succeeded(patienceMs = this.#patienceMs): void {
    this.#patienceMs = patienceMs;
    this.#stepMs = INITIAL_MS;
    this.#failingSinceMs = undefined;
  }

  /** Milliseconds to wait before the next attempt, or undefined when patience is over. */
  nextDelay(atLeastMs = 0): number | undefined {
    const nowMs = performance.now();
    this.#failingSinceMs ??= nowMs;
    const delayMs = Math.max(atLeastMs, this.#stepMs * (0.5 + 0.5 * Math.random()));
    this.#stepMs = Math.min(this.#stepMs * FACTOR, MAX_MS);
    return nowMs + delayMs - this.#failingSinceMs > this.#patienceMs ? undefined : delayMs;
  }
}

/** Waits; rejects with the signal's reason when it is aborted meanwhile. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
