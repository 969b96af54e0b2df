/**
 * The client: orders, portfolio and market data of ordergate in a browser, over gRPC-Web.
 *
 * Unary calls retry what is safe to retry; streams heal themselves; failures are
 * `OrdergateError`s. One address serves all of it: Envoy's.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client as Stub, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { type Book, BookBuilder } from "./book.js";
import { Caller, PATIENCE, type Patience } from "./calls.js";
import {
  type GetMarketDataResponse,
  type Instrument,
  type ListInstrumentsRequestSchema,
  type MarketData,
  MarketDataService,
  type Tick,
  type TradeReport,
} from "./gen/ordergate/marketdata/v1/marketdata_pb.js";
import {
  type CancelOrderRequestSchema,
  type CheckOrderResponse,
  type GetOrderRequestSchema,
  type ListOrdersRequestSchema,
  type MassCancelOrdersRequestSchema,
  type MassCancelOrdersResponse,
  OrderEntryService,
  type RateBudget,
  type ReplaceOrderRequestSchema,
  type SubmitOrderResult,
} from "./gen/ordergate/orders/v1/order_entry_pb.js";
import type { ExecutionReport, Order, OrderTermsSchema } from "./gen/ordergate/orders/v1/orders_pb.js";
import {
  type GetAccountSnapshotResponse,
  type GetPortfolioResponse,
  PortfolioService,
  type Position,
} from "./gen/ordergate/orders/v1/portfolio_pb.js";
import { follow, type StreamKind, type StreamOptions } from "./streams.js";
import type { TokenProvider } from "./tokens.js";

const REPORTS: StreamKind = { name: "execution reports", resumes: true };
const DROP_COPY: StreamKind = { name: "the drop copy", resumes: true };
const TRADES: StreamKind = { name: "trades", resumes: true };
const TICKS: StreamKind = { name: "ticks", resumes: false };
const BOOK: StreamKind = { name: "book levels", resumes: false, snapshots: ["snapshot"] };
const PORTFOLIO: StreamKind = { name: "the portfolio", resumes: false, snapshots: ["portfolio"] };

const BOOK_DEPTH_DEFAULT = 10;

export interface ClientOptions {
  /** Where Envoy is, without a closing slash: "https://orders.example". */
  readonly baseUrl: string;
  /** A bearer token, or a provider that is asked before each call. */
  readonly token?: string | TokenProvider;
  /** How long to wait and retry; what is not given is as in `PATIENCE`. */
  readonly patience?: Partial<Patience>;
}

export interface CallSettings {
  /** Gives up: the call throws the signal's reason. What was sent may still happen. */
  readonly signal?: AbortSignal;
}

/** One change of the market: the whole present state of a symbol, or what changed of it. */
export type MarketChange = MarketData | Tick;

/** The terms of an order; without `clOrdId` it gets a new one. */
export type Terms = MessageInitShape<typeof OrderTermsSchema>;

/** A connection to an installation of ordergate. */
export class Client {
  readonly #caller: Caller;
  readonly #orders: Stub<typeof OrderEntryService>;
  readonly #portfolio: Stub<typeof PortfolioService>;
  readonly #market: Stub<typeof MarketDataService>;

  constructor({ baseUrl, token, patience }: ClientOptions) {
    const transport = createGrpcWebTransport({ baseUrl });
    this.#caller = new Caller(typeof token === "string" ? () => token : token, { ...PATIENCE, ...patience });
    this.#orders = createClient(OrderEntryService, transport);
    this.#portfolio = createClient(PortfolioService, transport);
    this.#market = createClient(MarketDataService, transport);
  }

  /**
   * Places an order; its first report. However often it has to be sent, it executes at most once.
   *
   * @throws Denied a risk rule said no.
   * @throws Rejected the venue said no.
   * @throws Invalid the request's form is wrong.
   * @throws OutcomeUnknown repeat the same order with the same `clOrdId`, or ask with `getOrder`.
   */
  async submit(terms: Terms, settings?: CallSettings): Promise<ExecutionReport> {
    const order = { ...terms, clOrdId: terms.clOrdId || newKey() };
    const { report } = await this.#call((options) => this.#orders.submitOrder({ order }, options), settings);
    return present(report, "report");
  }

  /** Places orders of one account, one after the other; one result for each. */
  async submitMany(account: string, terms: readonly Terms[], settings?: CallSettings): Promise<SubmitOrderResult[]> {
    const orders = terms.map((order) => ({ ...order, clOrdId: order.clOrdId || newKey() }));
    const request = { account, orders };
    return (await this.#call((options) => this.#orders.submitOrders(request, options), settings)).results;
  }

  /** Says what would become of an order now, without placing it; a refusal is an answer here. */
  check(terms: Terms, settings?: CallSettings): Promise<CheckOrderResponse> {
    const order = { ...terms, clOrdId: terms.clOrdId || newKey() };
    return this.#call((options) => this.#orders.checkOrder({ order }, options), settings);
  }

  /**
   * Changes an open order; what is not given stays.
   *
   * @throws NotFound no such order.
   * @throws Rejected the order is no longer open, or the change is not possible.
   * @throws Denied a risk rule said no.
   */
  async replace(
    change: MessageInitShape<typeof ReplaceOrderRequestSchema>,
    settings?: CallSettings,
  ): Promise<ExecutionReport> {
    const request = { ...change, clOrdId: change.clOrdId || newKey() };
    const { report } = await this.#call((options) => this.#orders.replaceOrder(request, options), settings);
    return present(report, "report");
  }

  /**
   * Cancels an open order, named by `{ case: "orderId" }` or by `{ case: "origClOrdId" }`.
   *
   * @throws NotFound no such order.
   * @throws Rejected the order is no longer open.
   */
  async cancel(
    cancel: MessageInitShape<typeof CancelOrderRequestSchema>,
    settings?: CallSettings,
  ): Promise<ExecutionReport> {
    const request = { ...cancel, clOrdId: cancel.clOrdId || newKey() };
    const { report } = await this.#call((options) => this.#orders.cancelOrder(request, options), settings);
    return present(report, "report");
  }

  /** Cancels all open orders of an account that pass the filters. */
  massCancel(
    filters: MessageInitShape<typeof MassCancelOrdersRequestSchema>,
    settings?: CallSettings,
  ): Promise<MassCancelOrdersResponse> {
    const request = { ...filters, clOrdId: filters.clOrdId || newKey() };
    return this.#call((options) => this.#orders.massCancelOrders(request, options), settings);
  }

  /** The state of one order, by either id; throws `NotFound` when there is none. */
  async getOrder(request: MessageInitShape<typeof GetOrderRequestSchema>, settings?: CallSettings): Promise<Order> {
    return present((await this.#call((options) => this.#orders.getOrder(request, options), settings)).order, "order");
  }

  /** The orders of an account, newest first. */
  async *listOrders(
    request: MessageInitShape<typeof ListOrdersRequestSchema>,
    settings?: CallSettings,
  ): AsyncGenerator<Order, void, undefined> {
    for (let pageToken = ""; ; ) {
      const page = { ...request, pageToken };
      const { orders, nextPageToken } = await this.#call((options) => this.#orders.listOrders(page, options), settings);
      yield* orders;
      if (!nextPageToken) {
        return;
      }
      pageToken = nextPageToken;
    }
  }

  /** What is left of the account's budgets of requests. */
  async rateBudget(account: string, settings?: CallSettings): Promise<RateBudget[]> {
    return (await this.#call((options) => this.#orders.getRateBudget({ account }, options), settings)).budgets;
  }

  /**
   * The execution reports of an account as they come, each once and in order, over all breaks.
   *
   * @throws StreamGap reports are missing and cannot be had any more; `snapshot` says where to continue.
   */
  async *reports(account: string, where: StreamOptions = {}): AsyncGenerator<ExecutionReport, void, undefined> {
    const open = (resumeAfter: bigint | undefined, options: CallOptions) =>
      this.#orders.streamExecutionReports({ account, ...position(resumeAfter) }, options);
    for await (const { message } of follow(this.#caller, REPORTS, open, where)) {
      if (message.case === "report") {
        yield message.value;
      }
    }
  }

  /** The execution reports of many accounts; of all that the caller may see when none is named. */
  async *dropCopy(
    accounts: readonly string[],
    where: StreamOptions = {},
  ): AsyncGenerator<ExecutionReport, void, undefined> {
    const open = (resumeAfter: bigint | undefined, options: CallOptions) =>
      this.#orders.streamDropCopy({ accounts: [...accounts], ...position(resumeAfter) }, options);
    for await (const { message } of follow(this.#caller, DROP_COPY, open, where)) {
      if (message.case === "frame") {
        yield* message.value.reports;
      }
    }
  }

  /** What an account holds. */
  async positions(account: string, settings?: CallSettings): Promise<Position[]> {
    return (await this.#call((options) => this.#portfolio.listPositions({ account }, options), settings)).positions;
  }

  /** Cash, positions, buying power and exposure of an account. */
  portfolio(account: string, settings?: CallSettings): Promise<GetPortfolioResponse> {
    return this.#call((options) => this.#portfolio.getPortfolio({ account }, options), settings);
  }

  /** All of an account at one sequence: its open orders, balances and positions; reports continue after `asOfSeq`. */
  snapshot(account: string, settings?: CallSettings): Promise<GetAccountSnapshotResponse> {
    return this.#call((options) => this.#portfolio.getAccountSnapshot({ account }, options), settings);
  }

  /** The portfolio of an account, whole, whenever it or a price in it changes. */
  async *portfolios(
    account: string,
    { intervalMs = 0, signal }: { intervalMs?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<GetPortfolioResponse, void, undefined> {
    const open = (_: bigint | undefined, options: CallOptions) =>
      this.#portfolio.streamPortfolio({ account, intervalMs }, options);
    for await (const { message } of follow(this.#caller, PORTFOLIO, open, { signal })) {
      if (message.case === "portfolio") {
        yield message.value;
      }
    }
  }

  /** The present quote, last trade and reference price of symbols; of all when none is named. */
  marketData(symbols: readonly string[] = [], settings?: CallSettings): Promise<GetMarketDataResponse> {
    return this.#call((options) => this.#market.getMarketData({ symbols: [...symbols] }, options), settings);
  }

  /** The listed instruments, sorted by symbol. */
  async *instruments(
    filters: MessageInitShape<typeof ListInstrumentsRequestSchema> = {},
    settings?: CallSettings,
  ): AsyncGenerator<Instrument, void, undefined> {
    for (let pageToken = ""; ; ) {
      const request = { ...filters, pageToken };
      const page = await this.#call((options) => this.#market.listInstruments(request, options), settings);
      yield* page.instruments;
      if (!page.nextPageToken) {
        return;
      }
      pageToken = page.nextPageToken;
    }
  }

  /** First the present state of each symbol (`MarketData`), then its changes (`Tick`); again after a reconnect. */
  async *ticks(
    symbols: readonly string[],
    { signal }: CallSettings = {},
  ): AsyncGenerator<MarketChange, void, undefined> {
    const open = (_: bigint | undefined, options: CallOptions) =>
      this.#market.subscribeTicks({ symbols: [...symbols] }, options);
    for await (const { message } of follow(this.#caller, TICKS, open, { signal })) {
      if (message.case === "snapshot") {
        yield message.value;
      } else if (message.case === "frame") {
        yield* message.value.ticks;
      }
    }
  }

  /** The depth of a symbol, whole, after each change. */
  async *book(
    symbol: string,
    { depth = BOOK_DEPTH_DEFAULT, signal }: { depth?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<Book, void, undefined> {
    const open = (_: bigint | undefined, options: CallOptions) => this.#market.subscribeBook({ symbol, depth }, options);
    const builder = new BookBuilder(symbol, depth);
    for await (const message of follow(this.#caller, BOOK, open, { signal })) {
      const book = builder.apply(message);
      if (book !== undefined) {
        yield book;
      }
    }
  }

  /**
   * The trades of symbols as they come, or everything after a journal position.
   *
   * @throws StreamGap trades are missing and cannot be had any more.
   */
  async *trades(
    symbols: readonly string[],
    where: StreamOptions = {},
  ): AsyncGenerator<TradeReport, void, undefined> {
    const open = (resumeAfter: bigint | undefined, options: CallOptions) =>
      this.#market.subscribeTrades({ symbols: [...symbols], ...position(resumeAfter) }, options);
    for await (const { message } of follow(this.#caller, TRADES, open, where)) {
      if (message.case === "frame") {
        yield* message.value.trades;
      }
    }
  }

  #call<T>(attempt: (options: CallOptions) => Promise<T>, settings?: CallSettings): Promise<T> {
    return this.#caller.call(attempt, settings?.signal);
  }
}

/** A new `clOrdId`, unique without asking anybody. */
export function newKey(): string {
  // Not crypto.randomUUID: pages without TLS have none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** 0n replays everything; undefined leaves the field out: the stream begins with the present. */
function position(resumeAfter: bigint | undefined): { resumeAfter?: bigint } {
  return resumeAfter === undefined ? {} : { resumeAfter };
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new TypeError(`the server's answer has no ${what}`);
  }
  return value;
}
