"""The example page in a real browser, against the whole system, through Envoy."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest_asyncio

from runtime.stack.system import Stack
from tests.integration.web.browser import Page

SYMBOL = "MSFT"
BID = "401.00"


@pytest_asyncio.fixture
async def example(page: Page, pages: str, system: Stack) -> AsyncIterator[Page]:
    """The example page, connected as the trader of DEMO; that all it asked for was its own is checked at the end."""
    await page.go(f"{pages}/example/index.html")
    await page.fill("#server", system.rest_url)
    await page.fill("#token", system.token())
    await page.fill("#symbol", SYMBOL)
    await page.click("#connect")
    await page.until("document.querySelector('#state').textContent.startsWith('connected')")
    await page.until(f"document.querySelector('#market tr[data-symbol={SYMBOL}]')")
    yield page
    assert page.origins == {pages, system.rest_url}


async def place(page: Page, *, price: str, qty: str = "10", side: str = "BUY") -> None:
    """Fills in the form and places the order."""
    await page.fill("#qty", qty)
    await page.fill("#price", price)
    await page.evaluate(f"document.querySelector('#side').value = {json.dumps(side)}")
    await page.click("#submit")


async def newest(page: Page, exec_type: str) -> list[str]:
    """The cells of the newest report, once it is of that kind."""
    row = "document.querySelector('#reports tr')"
    cells: list[str] = await page.until(
        f"{row}?.cells[2].textContent === {json.dumps(exec_type)} && [...{row}.cells].map(cell => cell.textContent)"
    )
    return cells


async def test_an_order_is_placed_seen_and_cancelled(example: Page, system: Stack, tmp_path: Path) -> None:
    """Its reports come on the stream, its price in the ticks, and the venue knows it."""
    await place(example, price=BID)
    _, order_id, *rest = await newest(example, "NEW")
    assert rest == ["NEW", "NEW", SYMBOL, "BUY", "10", BID, "10", "", "Cancel"]
    quote = f"document.querySelector('#market tr[data-symbol={SYMBOL}]')"
    assert await example.until(f"{quote}.cells[2].textContent === '{BID}' && {quote}.cells[1].textContent") == "10"
    assert await example.until(f"Number({quote}.cells[8].textContent)") >= 1
    await example.screenshot(tmp_path / "placed.png")

    headers = {"Authorization": f"Bearer {system.token()}"}
    async with httpx.AsyncClient(base_url=system.rest_url, headers=headers) as rest_client:
        known = await rest_client.get(f"/api/v1/orders/{order_id}", params={"account": "DEMO"})
        assert known.json()["order"]["ord_status"] == "ORD_STATUS_NEW"

        await example.click("#reports tr:first-child button")
        _, canceled_id, *rest = await newest(example, "CANCELED")
        assert canceled_id == order_id
        assert rest == ["CANCELED", "CANCELED", SYMBOL, "BUY", "10", BID, "0", "", ""]
        await example.until(f"{quote}.cells[2].textContent === ''")
        known = await rest_client.get(f"/api/v1/orders/{order_id}", params={"account": "DEMO"})
        assert known.json()["order"]["ord_status"] == "ORD_STATUS_CANCELED"
    await example.screenshot(tmp_path / "canceled.png")
    assert not example.errors


async def test_an_order_of_another_client_is_seen(example: Page, system: Stack) -> None:
    """The stream carries the account's reports, wherever the orders came from."""
    terms = {"account": "DEMO", "symbol": SYMBOL, "side": "SIDE_BUY", "ord_type": "ORD_TYPE_LIMIT"}
    order = {**terms, "time_in_force": "TIME_IN_FORCE_IOC", "qty": "7", "price": "1.00", "cl_ord_id": uuid4().hex}
    headers = {"Authorization": f"Bearer {system.token()}"}
    async with httpx.AsyncClient(base_url=system.rest_url, headers=headers) as rest:
        (await rest.post("/api/v1/orders", json=order)).raise_for_status()
    cells = await newest(example, "CANCELED")
    assert cells[6] == "7"
    assert cells[9] == "NO_LIQUIDITY"
    assert not example.errors


async def test_a_refusal_shows_its_reason(example: Page, tmp_path: Path) -> None:
    """The code that a program branches on reaches the page, with the numbers of a denial."""
    await place(example, price="190.001")
    assert (await example.until("document.querySelector('#error').dataset.reason")) == "PRICE_OFF_TICK"
    assert (await example.text("#error")).startswith("PRICE_OFF_TICK: ")
    await example.screenshot(tmp_path / "refused.png")
    await place(example, price="400.00", qty="900000")
    await example.until("document.querySelector('#error').dataset.reason === 'ORDER_NOTIONAL_LIMIT'")
    assert not example.errors


async def test_a_token_that_nobody_issued_is_refused(page: Page, pages: str, system: Stack) -> None:
    """The page of another origin can read why, whoever refuses."""
    await page.go(f"{pages}/example/index.html")
    await page.fill("#server", system.rest_url)
    await page.fill("#token", system.token()[:-8] + "AAAAAAAA")
    await page.click("#connect")
    assert (await page.until("document.querySelector('#error').dataset.reason")) == "TOKEN_INVALID"
