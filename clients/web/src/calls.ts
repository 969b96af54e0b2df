/** Unary calls with a fresh token, a deadline, and retries of what is safe to retry. */

import type { CallOptions } from "@connectrpc/connect";

import { Backoff, sleep } from "./backoff.js";
import { fromCall, type OrdergateError, Unavailable } from "./errors.js";
import type { TokenProvider } from "./tokens.js";

/** How long a client waits, in milliseconds. */
export interface Patience {
  /** Deadline of one attempt of a unary call, and of a stream's first answer. */
  readonly callMs: number;
  /** Total time over all attempts of a unary call, and for the first connection of a stream. */
  readonly retryMs: number;
  /** How long a stream that had begun may stay broken. */
  readonly reconnectMs: number;
}

export const PATIENCE: Patience = { callMs: 5_000, retryMs: 10_000, reconnectMs: 120_000 };

/** Makes calls; shared by all calls of one client. */
export class Caller {
  constructor(
    readonly token: TokenProvider | undefined,
    readonly patience: Patience,
  ) {}

  /** The headers of a call made now; throws `Unavailable` when the provider has no token for it. */
  async headers(): Promise<HeadersInit> {
    try {
      return this.token === undefined ? {} : { authorization: `Bearer ${await this.token()}` };
    } catch (cause) {
      throw new Unavailable(`no token could be had: ${String(cause)}`, { reason: "TOKEN_PROVIDER" }, { cause });
    }
  }

  /**
   * Makes a unary call. Every request of ordergate may be repeated: its key makes it idempotent.
   *
   * @throws OrdergateError the typed answer, once it is definite or patience is over.
   */
  async call<T>(attempt: (options: CallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const backoff = new Backoff(this.patience.retryMs);
    for (;;) {
      let failure: OrdergateError;
      try {
        return await attempt(await this.#options(signal));
      } catch (cause) {
        signal?.throwIfAborted();
        failure = fromCall(cause);
      }
      const delayMs = failure instanceof Unavailable ? backoff.nextDelay(failure.retryAfterMs) : undefined;
      if (delayMs === undefined) {
        throw failure;
      }
      await sleep(delayMs, signal);
    }
  }

  async #options(signal: AbortSignal | undefined): Promise<CallOptions> {
    const options = { headers: await this.headers(), timeoutMs: this.patience.callMs };
    return signal === undefined ? options : { ...options, signal };
  }
}
