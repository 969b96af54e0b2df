"""Streams of the browser client over restarts of everything between it and the journal: nothing is missed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.client import Client
from runtime.stack.system import Stack
from tests.integration.web.browser import Page

ACCOUNT = "DEMO"
SYMBOL = "NVDA"
WITHIN_S = 60.0


@pytest_asyncio.fixture
async def client(client_page: Page, system: Stack) -> Page:
    """A page with a client of the whole system in `client`."""
    options = json.dumps({"baseUrl": system.rest_url, "token": system.token()})
    await client_page.evaluate(f"client = new ordergate.Client({options}); 0")
    return client_page


@pytest_asyncio.fixture
async def sdk(system: Stack) -> AsyncIterator[Client]:
    """The Python SDK, past Envoy: what the browser's stream is held against."""
    settings = system.settings
    token = system.token()
    async with Client(settings.gateway_address, marketdata=settings.marketdata_address, token=token) as connected:
        yield connected


def bid(price: str, qty: str = "1", **terms: Any) -> orders.OrderTerms:
    """An order to buy."""
    return orders.OrderTerms(
        account=ACCOUNT,
        cl_ord_id=uuid4().hex,
        symbol=SYMBOL,
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        qty=qty,
        price=price,
        **terms,
    )


async def passing(sdk: Client, count: int = 1) -> int:
    """Places orders that leave nothing behind; the sequence of the last report."""
    for _ in range(count):
        await sdk.submit(bid("1.00", time_in_force=types.TIME_IN_FORCE_IOC))
    last: int = (await sdk.snapshot(ACCOUNT)).as_of_seq
    return last


async def journal(sdk: Client, after: int, until: int) -> list[int]:
    """The sequences of the account's reports, as the gateway replays them."""
    seqs = []
    async with aclosing(sdk.reports(ACCOUNT, resume_after=after)) as reports:
        async for report in reports:
            seqs.append(report.seq)
            if report.seq >= until:
                return seqs
    raise AssertionError("the stream ended")


async def begin_to_read(page: Page, after: int) -> None:
    """Reads the account's reports into `reports`."""
    await page.evaluate(f"reports = collect(client.reports('{ACCOUNT}', {{resumeAfter: {after}n}}), seqOf); 0")


async def has_read(page: Page, until: int) -> list[int]:
    """What was read, once the report with that sequence is there."""
    seqs: list[int] = await page.until(
        f"reports.failure ? [] : reports.values.at(-1) >= {until} && reports.values", WITHIN_S
    )
    return seqs


@pytest.mark.parametrize("name", ["envoy", "gateway", "matching"])
async def test_reports_resume_without_a_gap(client: Page, system: Stack, sdk: Client, name: str) -> None:
    """Whatever is killed on the way: the browser has each report of the journal once and in order."""
    start = await passing(sdk)
    await begin_to_read(client, start)
    await has_read(client, await passing(sdk, 3))
    await system.kill(name)
    if name == "envoy":
        # Past Envoy the account trades on while the page is cut off.
        await passing(sdk, 3)
    await system.restart(name)
    last = await passing(sdk, 3)
    assert await has_read(client, last) == await journal(sdk, start, last)


async def test_ticks_come_again_after_a_break(client: Page, system: Stack, sdk: Client) -> None:
    """First the present state, then what changes; after a break the state again, with what was missed in it."""
    await client.evaluate(f"ticks = collect(client.ticks(['{SYMBOL}']), bidOf); 0")
    await client.until("ticks.values.length")
    first = await sdk.submit(bid("101.00"))
    await client.until("ticks.values.includes('101.00')")
    await system.kill("envoy")
    second = await sdk.submit(bid("102.00"))
    await system.restart("envoy")
    await client.until("ticks.values.includes('102.00')", WITHIN_S)
    await asyncio.gather(*(sdk.cancel(ACCOUNT, order_id=report.order_id) for report in (first, second)))
    await client.until("ticks.values.at(-1) === ''")


async def test_the_book_is_that_of_the_venue(client: Page, sdk: Client) -> None:
    """Levels, quantities and their order are those that the Python SDK has."""
    placed = [await sdk.submit(bid(price, qty)) for price, qty in (("99.00", "3"), ("100.00", "2"), ("99.00", "4"))]
    shown = (
        "({bids, asks}) => JSON.stringify([bids, asks].map(side => side.map(({px, qty, orders}) => [px, qty, orders])))"
    )
    await client.evaluate(f"books = collect(client.book('{SYMBOL}'), {shown}); 0")
    assert json.loads(await client.until("books.values.at(-1)")) == [[["100.00", "2", 1], ["99.00", "7", 2]], []]
    await sdk.cancel(ACCOUNT, order_id=placed[0].order_id)
    await sdk.cancel(ACCOUNT, order_id=placed[1].order_id)
    left = json.dumps([[["99.00", "4", 1]], []], separators=(",", ":"))
    await client.until(f"books.values.at(-1) === {json.dumps(left)}")
    async with aclosing(sdk.book(SYMBOL)) as books:
        async for book in books:
            assert [(level.px, level.qty, level.orders) for level in book.bids] == [("99.00", "4", 1)]
            break
    await sdk.cancel(ACCOUNT, order_id=placed[2].order_id)
    await client.until("books.values.at(-1) === '[[],[]]'")


async def test_every_call_of_the_client_is_answered(client: Page, sdk: Client) -> None:
    """Each method of the client, once, by the real servers; changes are seen by the Python SDK."""
    script = f"""
    (async () => {{
      const all = async (pages) => {{ const kept = []; for await (const one of pages) kept.push(one); return kept }};
      const limit = {{symbol: "{SYMBOL}", side: ordergate.Side.BUY, ordType: ordergate.OrdType.LIMIT}};
      const terms = (price, qty = "2") => ({{account: "{ACCOUNT}", ...limit, qty, price}});
      const placed = await client.submit(terms("90.00"));
      const basket = await client.submitMany("{ACCOUNT}", [terms("91.00"), terms("91.001")]);
      const checked = await client.check(terms("90.00", "900000"));
      const byKey = {{case: "clOrdId", value: placed.clOrdId}};
      const changed = await client.replace({{
        account: "{ACCOUNT}", order: {{case: "orderId", value: placed.orderId}}, price: "92.00",
      }});
      const order = await client.getOrder({{account: "{ACCOUNT}", order: byKey}});
      const open = await all(client.listOrders({{account: "{ACCOUNT}", openOnly: true, pageSize: 1}}));
      const snapshot = await client.snapshot("{ACCOUNT}");
      const portfolio = await client.portfolio("{ACCOUNT}");
      const positions = await client.positions("{ACCOUNT}");
      const budgets = await client.rateBudget("{ACCOUNT}");
      const {{marketData}} = await client.marketData(["{SYMBOL}"]);
      const instruments = await all(client.instruments({{pageSize: 2}}));
      const mass = await client.massCancel({{account: "{ACCOUNT}", symbol: "{SYMBOL}"}});
      return {{
        results: basket.map(({{result}}) => result.case),
        refused: ordergate.reasonName(basket[1].result.value.code),
        checked: [checked.accepted, ordergate.reasonName(checked.reason.code)],
        changed: changed.price,
        order: order.terms.price,
        open: open.map(({{terms}}) => terms.price),
        snapshot: snapshot.openOrders.length,
        portfolio: portfolio.openOrders,
        positions: positions.map(({{symbol}}) => symbol),
        budgets: budgets.length > 0 && budgets.every(({{limit}}) => limit > 0),
        bid: marketData[0].quote.bidPx,
        instruments: instruments.map(({{symbol}}) => symbol),
        canceled: mass.canceledOrders,
      }};
    }})()
    """
    answers = await client.evaluate(script)
    assert answers == {
        "results": ["report", "refused"],
        "refused": "PRICE_OFF_TICK",
        "checked": [False, "ORDER_NOTIONAL_LIMIT"],
        "changed": "92.00",
        "order": "92.00",
        "open": ["91.00", "92.00"],
        "snapshot": 2,
        "portfolio": 2,
        "positions": [position.symbol for position in (await sdk.positions(ACCOUNT)).positions],
        "budgets": True,
        "bid": "92.00",
        "instruments": [instrument.symbol async for instrument in sdk.instruments()],
        "canceled": 2,
    }


async def test_the_other_streams_carry_their_data(client: Page, sdk: Client) -> None:
    """Drop copy, trades and portfolios: what happens on the account comes on each of them."""
    start = await passing(sdk)
    await client.evaluate(
        f"copies = collect(client.dropCopy(['{ACCOUNT}'], {{resumeAfter: {start}n}}), seqOf);"
        f"holdings = collect(client.portfolios('{ACCOUNT}'), portfolio => portfolio.openOrders); 0"
    )
    await client.until("holdings.values.length && !holdings.values.at(-1)")
    order = await sdk.submit(bid("80.00"))
    await client.until("holdings.values.at(-1) === 1")
    await sdk.cancel(ACCOUNT, order_id=order.order_id)
    last = (await sdk.snapshot(ACCOUNT)).as_of_seq
    copies = await client.until(f"copies.values.at(-1) >= {last} && copies.values")
    assert copies == await journal(sdk, start, last)
