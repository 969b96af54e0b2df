/** The depth of one symbol as a reader holds it: a snapshot, then the levels that change. */

import type { Level, SubscribeBookResponse } from "./gen/ordergate/marketdata/v1/marketdata_pb.js";
import type { TradingSession } from "./gen/ordergate/types/v1/types_pb.js";

/** The places of a decimal string that are compared: all that the venue has. */
const PLACES = 9;

/** The depth at one journal position, best levels first. Outside continuous trading it may be crossed. */
export interface Book {
  readonly symbol: string;
  readonly seq: bigint;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly tradingSession: TradingSession;
}

/** Builds `Book` values from the messages of one depth stream. */
export class BookBuilder {
  readonly #bids = new Map<bigint, Level>();
  readonly #asks = new Map<bigint, Level>();

  constructor(
    private readonly symbol: string,
    private readonly depth: number,
  ) {}

  /** The depth after a message; undefined when it holds neither a snapshot nor changes. */
  apply({ seq, message }: SubscribeBookResponse): Book | undefined {
    if (message.case !== "snapshot" && message.case !== "changes") {
      return undefined;
    }
    if (message.case === "snapshot") {
      this.#bids.clear();
      this.#asks.clear();
    }
    take(this.#bids, message.value.bids);
    take(this.#asks, message.value.asks);
    return {
      symbol: this.symbol,
      seq,
      bids: this.#best(this.#bids, (left, right) => right - left),
      asks: this.#best(this.#asks, (left, right) => left - right),
      tradingSession: message.value.tradingSession,
    };
  }

  #best(side: ReadonlyMap<bigint, Level>, order: (left: bigint, right: bigint) => bigint): Level[] {
    const sorted = [...side].sort(([left], [right]) => Number(order(left, right)));
    return sorted.slice(0, this.depth).map(([, level]) => level);
  }
}

function take(side: Map<bigint, Level>, changes: readonly Level[]): void {
  for (const level of changes) {
    const px = units(level.px);
    if (units(level.qty) === 0n) {
      side.delete(px);
    } else {
      side.set(px, level);
    }
  }
}

/** A plain decimal in units of its last possible place: exact, where a number would round. */
function units(decimal: string): bigint {
  const [whole = "", fraction = ""] = decimal.split(".");
  return BigInt(whole + fraction.padEnd(PLACES, "0"));
}
