/** Unary calls with a fresh token, a deadline, and retries of what is safe to retry. */

import type { CallOptions } from "@connectrpc/connect";

import { Backoff, sleep } from "./backoff.js";
import { fromCall, type OrdergateError, RateLimited, Unavailable } from "./errors.js";
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
    private readonly provider: TokenProvider | undefined,
    readonly patience: Patience,
  ) {}

  /** The provider's present token, empty without a provider; throws `Unavailable` when it cannot give one now. */
  async token(): Promise<string> {
    try {
      return (await this.provider?.()) ?? "";
    } catch (cause) {
      throw new Unavailable(`no token could be had: ${String(cause)}`, { reason: "TOKEN_PROVIDER" }, { cause });
    }
  }

  /**
   * Makes a unary call. Every request of ordergate may be repeated: its key makes it idempotent.
   *
   * Repeated is what could not be answered, and what a budget had no room for, at the time that the server names;
   * with a new token once when the old one has run out.
   *
   * @throws OrdergateError the typed answer, once it is definite or patience is over.
   */
  async call<T>(attempt: (options: CallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const backoff = new Backoff(this.patience.retryMs);
    let hasRenewed = false;
    for (;;) {
      let failure: OrdergateError;
      let token = "";
      try {
        token = await this.token();
        return await attempt(this.#options(token, signal));
      } catch (cause) {
        signal?.throwIfAborted();
        failure = fromCall(cause);
      }
      if (failure.reason === "TOKEN_EXPIRED" && !hasRenewed && (await this.token()) !== token) {
        hasRenewed = true;
        continue;
      }
      const delayMs = mayRepeat(failure) ? backoff.nextDelay(failure.retryAfterMs) : undefined;
      if (delayMs === undefined) {
        throw failure;
      }
      await sleep(delayMs, signal);
    }
  }

  #options(token: string, signal: AbortSignal | undefined): CallOptions {
    const options = { headers: bearer(token), timeoutMs: this.patience.callMs };
    return signal === undefined ? options : { ...options, signal };
  }
}

/** The headers of a call that carry a token. */
export function bearer(token: string): HeadersInit {
  return token ? { authorization: `Bearer ${token}` } : {};
}

function mayRepeat(failure: OrdergateError): boolean {
  return failure instanceof Unavailable || (failure instanceof RateLimited && failure.retryAfterMs !== undefined);
}
