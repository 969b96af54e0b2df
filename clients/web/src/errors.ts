/**
 * What can go wrong for a caller, as classes.
 *
 * Every failure of this client is an `OrdergateError`. Its class says what kind of
 * answer it is (our risk said no: `Denied`; the venue said no: `Rejected`; …), its
 * `reason` is the code's name, `metadata` holds the numbers. The class follows the
 * band of the reason; without a reason (a proxy's or the network's own failure) it
 * follows the gRPC status. The Python SDK sorts them in the same way.
 */

import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { Reason, type StreamEnd } from "./gen/ordergate/types/v1/types_pb.js";

const DOMAIN = "ordergate";

export interface Answer {
  /** Name of the reason code without its prefix, such as "PRICE_OFF_TICK"; empty when none was given. */
  readonly reason?: string;
  /** The request field at fault; empty if none. */
  readonly field?: string;
  /** The numbers: rule, limit, current, projected, … */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Milliseconds to wait before another attempt; undefined when the server did not say. */
  readonly retryAfterMs?: number | undefined;
  /** The gRPC status; undefined when the answer came inside a stream. */
  readonly code?: Code | undefined;
}

/** A call or a stream failed. */
export class OrdergateError extends Error {
  // Not the class's own name: that does not survive a minifier.
  override readonly name: string = "OrdergateError";
  /** One sentence for people. */
  readonly text: string;
  readonly reason: string;
  readonly field: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  readonly code: Code | undefined;

  constructor(text: string, answer: Answer = {}, options?: ErrorOptions) {
    super(answer.reason ? `${answer.reason}: ${text}` : text, options);
    this.text = text;
    this.reason = answer.reason ?? "";
    this.field = answer.field ?? "";
    this.metadata = answer.metadata ?? {};
    this.retryAfterMs = answer.retryAfterMs;
    this.code = answer.code;
  }
}

/** No token, or none that the server takes. */
export class Unauthenticated extends OrdergateError {
  override readonly name: string = "Unauthenticated";
}

/** The token, its subject or one of its roles was revoked: another attempt needs another token. */
export class Revoked extends Unauthenticated {
  override readonly name: string = "Revoked";
}

/** The token is good and does not permit the call. */
export class NotAllowed extends OrdergateError {
  override readonly name: string = "NotAllowed";
}

/** The request's form is wrong; the same request can never succeed. */
export class Invalid extends OrdergateError {
  override readonly name: string = "Invalid";
}

/** Too many requests, or too slow a reader: nothing happened. `retryAfterMs` says when there is room again. */
export class RateLimited extends OrdergateError {
  override readonly name: string = "RateLimited";
}

/** The venue's risk checks said no. */
export class Denied extends OrdergateError {
  override readonly name: string = "Denied";
}

/** The venue said no. */
export class Rejected extends OrdergateError {
  override readonly name: string = "Rejected";
}

/** What the request names does not exist. */
export class NotFound extends Rejected {
  override readonly name: string = "NotFound";
}

/** The system cannot answer at the moment; the same request may succeed later. */
export class Unavailable extends OrdergateError {
  override readonly name: string = "Unavailable";
}

/** Whether it happened is not known: repeat the same request, or ask with `getOrder`. */
export class OutcomeUnknown extends Unavailable {
  override readonly name: string = "OutcomeUnknown";
}

/** A fault of the server. */
export class Internal extends OrdergateError {
  override readonly name: string = "Internal";
}

interface Missing extends Answer {
  readonly fromSeq?: bigint;
  readonly toSeq?: bigint;
}

/** Messages of a stream are missing and cannot be had any more: take a snapshot and continue from its sequence. */
export class StreamGap extends OrdergateError {
  override readonly name: string = "StreamGap";
  /** The first missing sequence; 0n when that is not known. */
  readonly fromSeq: bigint;
  /** The last missing sequence; 0n when that is not known. */
  readonly toSeq: bigint;

  constructor(text: string, { fromSeq = 0n, toSeq = 0n, ...answer }: Missing = {}, options?: ErrorOptions) {
    super(text, { reason: "SNAPSHOT_REQUIRED", ...answer }, options);
    this.fromSeq = fromSeq;
    this.toSeq = toSeq;
  }
}

type Kind = new (text: string, answer?: Answer, options?: ErrorOptions) => OrdergateError;

const BY_REASON: ReadonlyMap<Reason, Kind> = new Map<Reason, Kind>([
  [Reason.TOKEN_MISSING, Unauthenticated],
  [Reason.TOKEN_INVALID, Unauthenticated],
  [Reason.TOKEN_EXPIRED, Unauthenticated],
  [Reason.TOKEN_REVOKED, Revoked],
  [Reason.KEYS_UNAVAILABLE, Unavailable],
  [Reason.ORDER_UNKNOWN, NotFound],
  [Reason.NOT_IN_LOG, NotFound],
  [Reason.OUTCOME_UNKNOWN, OutcomeUnknown],
  [Reason.DEADLINE, OutcomeUnknown],
  [Reason.SNAPSHOT_REQUIRED, StreamGap],
  [Reason.INTERNAL, Internal],
]);

const BY_BAND: readonly Kind[] = [
  OrdergateError,
  NotAllowed,
  Invalid,
  RateLimited,
  Denied,
  Rejected,
  Unavailable,
];

// Our servers code every error, INTERNAL too: without a code it is the network
// or a proxy, and gRPC-Web calls a connection that broke by many names.
const BY_CODE: Readonly<Record<Code, Kind>> = {
  [Code.Unauthenticated]: Unauthenticated,
  [Code.PermissionDenied]: NotAllowed,
  [Code.InvalidArgument]: Invalid,
  [Code.OutOfRange]: Invalid,
  [Code.ResourceExhausted]: RateLimited,
  [Code.FailedPrecondition]: Rejected,
  [Code.Aborted]: Rejected,
  [Code.AlreadyExists]: Rejected,
  [Code.NotFound]: NotFound,
  [Code.Unavailable]: Unavailable,
  [Code.Canceled]: Unavailable,
  [Code.DeadlineExceeded]: OutcomeUnknown,
  [Code.Internal]: Unavailable,
  [Code.Unknown]: Unavailable,
  [Code.DataLoss]: Internal,
  [Code.Unimplemented]: Invalid,
};

/** The name of a reason code; the number itself when this version does not know it. */
export function reasonName(reason: Reason): string {
  return Reason[reason] ?? String(reason);
}

function kindOf(reason: Reason): Kind {
  return BY_REASON.get(reason) ?? BY_BAND[Math.floor(reason / 100)] ?? OrdergateError;
}

function reasonNamed(name: string): Reason | undefined {
  const value: unknown = (Reason as Readonly<Record<string, unknown>>)[name];
  return typeof value === "number" ? value : undefined;
}

/** The error of a stream, or of a part of a subscription, that its server ended for `reason`. */
export function fromReason(reason: Reason, text: string, retryAfterMs?: number): OrdergateError {
  return new (kindOf(reason))(text || "the server ended the stream", { reason: reasonName(reason), retryAfterMs });
}

/** The error of a stream's last message. */
export function fromEnd(end: StreamEnd): OrdergateError {
  if (end.reason === Reason.SNAPSHOT_REQUIRED) {
    return new StreamGap(end.text || "older than what is kept", { fromSeq: end.resumeAfter + 1n });
  }
  return fromReason(end.reason, end.text, end.retryDelayMs);
}

/**
 * The typed form of what a call threw: reason, field, numbers and retry delay from its `google.rpc.Status`.
 *
 * What is no failure of a call, a mistake in a program, is thrown on.
 */
export function fromCall(cause: unknown): OrdergateError {
  if (cause instanceof OrdergateError) {
    return cause;
  }
  if (!(cause instanceof ConnectError)) {
    throw cause;
  }
  // What Envoy itself refuses has an HTTP status as well; the transport then looks no further.
  const failure = findTrailerError(cause.metadata) ?? cause;
  const [info] = failure.findDetails(ErrorInfoSchema);
  const [bad] = failure.findDetails(BadRequestSchema);
  const [retry] = failure.findDetails(RetryInfoSchema);
  const known = info?.domain === DOMAIN ? reasonNamed(info.reason) : undefined;
  const kind = known === undefined ? BY_CODE[failure.code] : kindOf(known);
  const answer: Answer = {
    reason: info?.reason || transportReason(failure.code),
    field: bad?.fieldViolations[0]?.field ?? "",
    metadata: info?.metadata ?? {},
    retryAfterMs: retry?.retryDelay && Number(retry.retryDelay.seconds) * 1000 + retry.retryDelay.nanos / 1e6,
    code: failure.code,
  };
  return new kind(failure.rawMessage || Code[failure.code], answer, { cause });
}

/** gRPC's own name of a status, as the servers and the other clients write it. */
function transportReason(code: Code): string {
  if (BY_CODE[code] === Unavailable) {
    return "UNREACHABLE";
  }
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
