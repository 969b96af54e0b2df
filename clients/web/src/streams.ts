/**
 * Server streams that heal themselves.
 *
 * `follow` reads one logical stream over as many connections as it takes: it holds
 * each message against the one before (`Chain`), takes silence of three heartbeat
 * intervals for a dead connection, reconnects with backoff, resumes where it stood,
 * and throws `StreamGap` when the server cannot resume there. A token that runs out
 * is replaced in time, where there is another one.
 */

import type { CallOptions } from "@connectrpc/connect";

import { Backoff, sleep } from "./backoff.js";
import { bearer, type Caller } from "./calls.js";
import { Chain, ChainBroken } from "./chain.js";
import {
  fromCall,
  fromEnd,
  fromReason,
  Internal,
  type OrdergateError,
  StreamGap,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
import { type Draining, type Gap, type Heartbeat, Reason, type StreamEnd, type Subscribed } from "./gen/ordergate/types/v1/types_pb.js";

const HEARTBEATS_MISSED_MAX = 3;
const HEARTBEAT_DEFAULT_S = 5;
/** So many reconnects at one position without progress, and the gap is taken as permanent. */
const SAME_GAP_MAX = 3;

/** The connection is left as planned, for a better one. */
class Moved extends Error {}

/** How one kind of stream counts, and what may follow. */
export interface StreamKind {
  /** For errors. */
  readonly name: string;
  /** Whether the request carries `resumeAfter`; else each connection begins with a snapshot. */
  readonly resumes: boolean;
  /** Cases of `message` that stand for themselves, whatever came before. */
  readonly snapshots?: readonly string[];
}

/** What the messages of all our streams have. */
interface Framed {
  readonly seq: bigint;
  readonly prevSeq: bigint;
  readonly message: { readonly case: string | undefined; readonly value?: unknown };
}

/** Subscribes after a sequence, or to what begins now. */
type Open<M> = (resumeAfter: bigint | undefined, options: CallOptions) => AsyncIterable<M>;

export interface StreamOptions {
  /** Replay what came after this sequence first; 0n replays everything. The stream begins with the present without. */
  readonly resumeAfter?: bigint | undefined;
  /** Ends the stream: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The data messages of a stream, each once and in order, over all its connections.
 *
 * @throws StreamGap messages are missing and cannot be had any more.
 * @throws OrdergateError the server refused the stream, or patience is over.
 */
export async function* follow<M extends Framed>(
  caller: Caller,
  kind: StreamKind,
  open: Open<M>,
  { resumeAfter, signal }: StreamOptions = {},
): AsyncGenerator<M, void, undefined> {
  const chain = new Chain(resumeAfter);
  const trouble = new Trouble(caller, kind);
  for (;;) {
    const connection = new Connection(caller, kind, chain, open, signal);
    let delayMs: number;
    try {
      await connection.begin();
      trouble.connected();
      for (;;) {
        const message = await connection.nextData();
        trouble.progressed();
        yield message;
      }
    } catch (failure) {
      signal?.throwIfAborted();
      delayMs = failure instanceof Moved ? 0 : trouble.delay(failure, connection.hasBegun);
    } finally {
      connection.close();
    }
    if (!kind.resumes) {
      chain.position = undefined;
    }
    await sleep(delayMs, signal);
  }
}

/** Decides after each failure whether to go on, and when. */
class Trouble {
  readonly #kind: StreamKind;
  readonly #reconnectMs: number;
  readonly #backoff: Backoff;
  #breaks = 0;

  constructor(caller: Caller, kind: StreamKind) {
    this.#kind = kind;
    this.#reconnectMs = caller.patience.reconnectMs;
    this.#backoff = new Backoff(caller.patience.retryMs);
  }

  connected(): void {
    this.#backoff.succeeded(this.#reconnectMs);
  }

  progressed(): void {
    this.#breaks = 0;
  }

  /** Milliseconds until the next attempt; throws what the reader of the stream shall see. */
  delay(cause: unknown, hadBegun: boolean): number {
    const failure = cause instanceof ChainBroken ? this.#broken(cause) : fromCall(cause);
    const delayMs = mayReconnect(failure, hadBegun) ? this.#backoff.nextDelay(failure.retryAfterMs) : undefined;
    if (delayMs === undefined) {
      throw failure;
    }
    return delayMs;
  }

  #broken(cause: ChainBroken): OrdergateError {
    this.#breaks += 1;
    return this.#breaks >= SAME_GAP_MAX
      ? gapError(this.#kind.name, cause.expected + 1n, cause.got)
      : new Unavailable(cause.message, { reason: "STREAM_GAP" }, { cause });
  }
}

/** One connection of a stream. */
class Connection<M extends Framed> {
  readonly #ended = new AbortController();
  #messages: AsyncIterator<M> | undefined;
  #silenceMs: number;
  #token = "";
  hasBegun = false;

  constructor(
    private readonly caller: Caller,
    private readonly kind: StreamKind,
    private readonly chain: Chain,
    private readonly open: Open<M>,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#silenceMs = caller.patience.callMs;
  }

  /** Subscribes and takes the first message. */
  async begin(): Promise<void> {
    const signal = this.signal ? AbortSignal.any([this.signal, this.#ended.signal]) : this.#ended.signal;
    // No deadline: a stream ends when one side ends it.
    this.#token = await this.caller.token();
    const options = { headers: bearer(this.#token), signal, timeoutMs: 0 };
    this.#messages = this.open(this.chain.position, options)[Symbol.asyncIterator]();
    const first = await this.#read(this.#messages);
    if (first.message.case !== "subscribed") {
      await this.#control(first);
      throw new Internal(`the stream of ${this.kind.name} began with ${first.message.case}`);
    }
    this.hasBegun = true;
    this.#subscribed(first, first.message.value as Subscribed);
  }

  #subscribed(message: M, subscribed: Subscribed): void {
    const refused = subscribed.results.find((result) => result.reason !== Reason.UNSPECIFIED);
    if (refused !== undefined) {
      throw fromReason(refused.reason, `${refused.key}: not subscribed`);
    }
    this.#silenceMs = HEARTBEATS_MISSED_MAX * (subscribed.heartbeatIntervalS || HEARTBEAT_DEFAULT_S) * 1000;
    if (this.kind.resumes) {
      this.chain.begin(subscribed.resumeAfter);
    } else {
      this.chain.reset(message.seq);
    }
  }

  /** The next message that carries data, checked against the chain. */
  async nextData(): Promise<M> {
    if (this.#messages === undefined) {
      throw new TypeError("the connection has not begun");
    }
    for (;;) {
      const message = await this.#read(this.#messages);
      if (this.kind.snapshots?.includes(message.message.case ?? "")) {
        this.chain.reset(message.seq);
        return message;
      }
      if (!(await this.#control(message)) && this.chain.advance(message.prevSeq, message.seq)) {
        return message;
      }
    }
  }

  /** Acts on heartbeats, notices, gaps and the end; false for data. */
  async #control({ message, seq, prevSeq }: M): Promise<boolean> {
    switch (message.case) {
      case "heartbeat":
        this.chain.confirm((message.value as Heartbeat).lastSeq);
        this.chain.advance(prevSeq, seq);
        return true;
      case "draining":
        // There is one address: without another token the stream stays to its end, which says where to resume.
        if ((message.value as Draining).reason === Reason.TOKEN_EXPIRED && (await this.caller.token()) !== this.#token) {
          throw new Moved();
        }
        return true;
      case undefined:
        // A kind of message that is newer than this client; its place counts all the same.
        this.chain.advance(prevSeq, seq);
        return true;
      case "gap": {
        const { fromSeq, toSeq } = message.value as Gap;
        throw gapError(this.kind.name, fromSeq, toSeq);
      }
      case "end":
        throw fromEnd(message.value as StreamEnd);
      default:
        return false;
    }
  }

  /** The next message; silence and an end without a word are `Unavailable`. */
  async #read(messages: AsyncIterator<M>): Promise<M> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      const fell = (): void => reject(new Unavailable("the server fell silent", { reason: "SILENT" }));
      timer = setTimeout(fell, this.#silenceMs);
    });
    const next = messages.next();
    // When silence wins, the connection is dropped and the read fails with nobody there to hear it.
    next.catch(() => undefined);
    try {
      const result = await Promise.race([next, silence]);
      if (result.done === true) {
        throw new Unavailable("the server ended the stream", { reason: "ENDED" });
      }
      return result.value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Drops the connection. */
  close(): void {
    this.#ended.abort();
  }
}

function gapError(name: string, fromSeq: bigint, toSeq: bigint): StreamGap {
  return new StreamGap(`${name} from ${fromSeq} to ${toSeq} cannot be delivered any more`, { fromSeq, toSeq });
}

const ENDS_TO_RESUME: readonly string[] = ["SLOW_CONSUMER", "OVERLOADED", "RATE_EXCEEDED", "UNSPECIFIED"];

/** Whether a stream that ended with `error` can go on over a new connection. */
function mayReconnect(error: OrdergateError, hadBegun: boolean): boolean {
  if (error instanceof Unavailable) {
    return true;
  }
  if (error instanceof Unauthenticated) {
    return hadBegun && error.reason === "TOKEN_EXPIRED";
  }
  if (error instanceof Internal) {
    // A server that was cut off from another in mid-stream; resuming is harmless, and patience is bounded.
    return hadBegun;
  }
  return ENDS_TO_RESUME.includes(error.reason);
}
