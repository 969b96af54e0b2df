/** The browser client of ordergate: `Client`, what it gives, and what it throws. */

export { Code } from "@connectrpc/connect";

export { type Book, BookBuilder } from "./book.js";
export { PATIENCE, type Patience } from "./calls.js";
export { type CallSettings, Client, type ClientOptions, type MarketChange, newKey, type Terms } from "./client.js";
export {
  Denied,
  Internal,
  Invalid,
  NotAllowed,
  NotFound,
  OrdergateError,
  OutcomeUnknown,
  RateLimited,
  Rejected,
  Revoked,
  reasonName,
  StreamGap,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
export type { Instrument, MarketData, Tick, TradeReport } from "./gen/ordergate/marketdata/v1/marketdata_pb.js";
export type { ExecutionReport, Order, OrderTerms } from "./gen/ordergate/orders/v1/orders_pb.js";
export type { GetPortfolioResponse, Position } from "./gen/ordergate/orders/v1/portfolio_pb.js";
export {
  Cause,
  ExecType,
  OrdStatus,
  OrdType,
  Reason,
  SelfTradePrevention,
  Side,
  TimeInForce,
  TradingSession,
} from "./gen/ordergate/types/v1/types_pb.js";
export type { StreamOptions } from "./streams.js";
export { renewed, type TokenProvider } from "./tokens.js";
