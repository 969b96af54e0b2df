/** The example page: place an order, see its reports and the market, cancel it. */

import {
  Client,
  type ExecutionReport,
  ExecType,
  type MarketChange,
  OrdergateError,
  OrdStatus,
  OrdType,
  Reason,
  Side,
  TimeInForce,
} from "../src/index.js";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new TypeError(`the page has no ${kind.name} #${id}`);
  }
  return found;
}

const field = (id: string): string => element(id, HTMLInputElement).value.trim();
const state = element("state", HTMLElement);
const problem = element("error", HTMLElement);
const submit = element("submit", HTMLButtonElement);
const market = element("market", HTMLTableSectionElement);
const reports = element("reports", HTMLTableSectionElement);

/** What is shown of one symbol. */
interface Row {
  readonly cells: readonly HTMLTableCellElement[];
  ticks: number;
}

let client: Client | undefined;
let leaving = new AbortController();
const rows = new Map<string, Row>();
const cancelButtons = new Map<string, HTMLButtonElement>();

/** Runs what a click began and shows how it failed, by the reason's code. */
async function shown(work: () => Promise<void>): Promise<void> {
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      return;
    }
    if (!(error instanceof OrdergateError)) {
      throw error;
    }
    problem.dataset["reason"] = error.reason;
    problem.textContent = error.message;
  }
}

function connect(): void {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const account = field("account");
  const connected = new Client({ baseUrl: field("server"), token: field("token") });
  client = connected;
  for (const table of [market, reports]) {
    table.replaceChildren();
  }
  rows.clear();
  cancelButtons.clear();
  void shown(() => watchReports(connected, account, signal));
  void shown(() => watchMarket(connected, field("symbol"), signal));
}

async function watchReports(from: Client, account: string, signal: AbortSignal): Promise<void> {
  // The account's open orders first, then all that happens after that moment.
  const { openOrders, asOfSeq } = await from.snapshot(account, { signal });
  state.textContent = `connected, ${openOrders.length} open orders`;
  submit.disabled = false;
  for await (const report of from.reports(account, { resumeAfter: asOfSeq, signal })) {
    show(report);
  }
}

async function watchMarket(from: Client, symbol: string, signal: AbortSignal): Promise<void> {
  for await (const change of from.ticks([symbol], { signal })) {
    showMarket(change);
  }
}

function show(report: ExecutionReport): void {
  const done = report.leavesQty === "0";
  const cells = [
    String(report.seq),
    report.orderId,
    ExecType[report.execType],
    OrdStatus[report.ordStatus],
    report.symbol,
    Side[report.side],
    report.qty,
    report.price,
    report.leavesQty,
    report.reason === undefined ? "" : Reason[report.reason.code],
  ];
  const row = reports.insertRow(0);
  row.dataset["seq"] = String(report.seq);
  row.dataset["order"] = report.orderId;
  for (const text of cells) {
    row.insertCell().textContent = text ?? "";
  }
  cancelButtons.get(report.orderId)?.remove();
  if (!done) {
    row.insertCell().append(cancelButton(report));
  } else {
    row.insertCell();
  }
}

function cancelButton({ account, orderId }: ExecutionReport): HTMLButtonElement {
  const button = document.createElement("button");
  button.textContent = "Cancel";
  button.addEventListener("click", () => {
    button.disabled = true;
    void shown(async () => {
      await client?.cancel({ account, order: { case: "orderId", value: orderId } });
    });
  });
  cancelButtons.set(orderId, button);
  return button;
}

function rowOf(symbol: string): Row {
  let row = rows.get(symbol);
  if (row === undefined) {
    const line = market.insertRow();
    line.dataset["symbol"] = symbol;
    row = { cells: Array.from({ length: 9 }, () => line.insertCell()), ticks: 0 };
    row.cells[0]?.append(symbol);
    rows.set(symbol, row);
  }
  return row;
}

function showMarket(change: MarketChange): void {
  const row = rowOf(change.symbol);
  const put = (from: number, ...texts: string[]): void =>
    texts.forEach((text, place) => row.cells[from + place]?.replaceChildren(text));
  const whole = change.$typeName === "ordergate.marketdata.v1.MarketData";
  const quote = whole ? change.quote : change.change.case === "quote" ? change.change.value : undefined;
  const trade = whole ? change.lastTrade : change.change.case === "trade" ? change.change.value : undefined;
  const reference = whole ? change.reference : change.change.case === "reference" ? change.change.value : undefined;
  if (quote !== undefined) {
    put(1, quote.bidQty, quote.bidPx, quote.askPx, quote.askQty);
  }
  if (trade !== undefined) {
    put(5, trade.px, trade.qty);
  }
  if (reference !== undefined) {
    put(7, reference.px);
  }
  row.ticks += whole ? 0 : 1;
  put(8, String(row.ticks));
}

async function place(): Promise<void> {
  await client?.submit({
    account: field("account"),
    symbol: field("symbol"),
    side: element("side", HTMLSelectElement).value === "SELL" ? Side.SELL : Side.BUY,
    ordType: OrdType.LIMIT,
    timeInForce: TimeInForce.DAY,
    qty: field("qty"),
    price: field("price"),
  });
}

element("connection", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});
element("order", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void shown(place);
});
