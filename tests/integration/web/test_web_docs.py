"""The pages that show the REST interface, in a real browser: all of it is there, and "try it out" is the real thing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from runtime.stack.system import Stack
from tests.integration.web.browser import Page

ORDER = {
    "account": "DEMO",
    "symbol": "AMZN",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_LIMIT",
    "time_in_force": "TIME_IN_FORCE_IOC",
    "qty": "10",
    "price": "190.00",
}
METHODS = ("get", "post", "put", "patch", "delete")


@pytest_asyncio.fixture
async def operations(system: Stack) -> list[dict[str, Any]]:
    """The operations of the document."""
    async with httpx.AsyncClient(base_url=system.rest_url) as client:
        document = (await client.get("/openapi.json")).json()
    return [path[method] for path in document["paths"].values() for method in METHODS if method in path]


@pytest_asyncio.fixture
async def own(page: Page, system: Stack) -> AsyncIterator[Page]:
    """A tab that may neither ask another origin for anything nor show an error."""
    yield page
    assert page.origins == {system.rest_url}
    assert not page.errors


@pytest_asyncio.fixture
async def swagger(own: Page, system: Stack) -> Page:
    """Swagger UI, with the token of a trader entered under "Authorize"."""
    await own.go(f"{system.rest_url}/docs")
    await own.click(".auth-wrapper button.authorize")
    await own.fill(".auth-container input", system.token())
    await own.click(".auth-btn-wrapper button.authorize")
    await own.click(".auth-btn-wrapper .btn-done")
    await own.until("!document.querySelector('.dialog-ux')")
    return own


async def tried(page: Page, operation: str, body: dict[str, str] | None = None, **parameters: str) -> dict[str, Any]:
    """The answer that an operation shows after "try it out" and "execute", which must be 200."""
    block = f'[id="operations-{operation}"]'
    await page.click(f"{block} .opblock-summary-control")
    await page.click(f"{block} .try-out__btn")
    if body is not None:
        await page.fill(f"{block} textarea.body-param__text", json.dumps(body))
    for name, value in parameters.items():
        await page.fill(f'{block} tr[data-param-name="{name}"] input', value)
    await page.click(f"{block} .execute")
    answer = f"{block} .live-responses-table .response"
    status = await page.text(f"{answer} .response-col_status")
    assert status.split()[0] == "200"
    shown = await page.text(f"{answer} .response-col_description .highlight-code code")
    answered: dict[str, Any] = json.loads(shown)
    await page.see(answer)
    return answered


async def test_swagger_ui_shows_every_operation(
    own: Page, system: Stack, operations: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Everything that REST offers is on the page."""
    await own.go(f"{system.rest_url}/docs")
    await own.until("document.querySelectorAll('.opblock').length")
    shown = await own.evaluate("[...document.querySelectorAll('.opblock')].map(block => block.id)")
    assert len(operations) > 20
    expected = {f"operations-{one['tags'][0]}-{one['operationId']}" for one in operations}
    assert set(shown) == expected
    await own.screenshot(tmp_path / "docs.png")


async def test_an_order_is_tried_out(swagger: Page, system: Stack, tmp_path: Path) -> None:
    """The page places a real order: the report is shown, and the venue has the order."""
    answer = await tried(swagger, "OrderEntryService-SubmitOrder", ORDER | {"cl_ord_id": "tried-out"})
    report = answer["report"]
    assert (report["exec_type"], report["symbol"], report["qty"]) == ("EXEC_TYPE_NEW", "AMZN", "10")
    await swagger.screenshot(tmp_path / "order.png")
    headers = {"Authorization": f"Bearer {system.token()}"}
    async with httpx.AsyncClient(base_url=system.rest_url, headers=headers) as client:
        known = await client.get(f"/api/v1/orders/{report['order_id']}", params={"account": "DEMO"})
    assert known.json()["order"]["terms"]["cl_ord_id"] == "tried-out"


async def test_a_portfolio_is_tried_out(swagger: Page, system: Stack, tmp_path: Path) -> None:
    """The page shows the same portfolio as any other client."""
    shown = await tried(swagger, "PortfolioService-GetPortfolio", account="DEMO")
    headers = {"Authorization": f"Bearer {system.token()}"}
    async with httpx.AsyncClient(base_url=system.rest_url, headers=headers) as client:
        known = (await client.get("/api/v1/portfolio", params={"account": "DEMO"})).json()
    assert shown["balances"] == known["balances"]
    assert {position["symbol"] for position in shown["positions"]} >= {"AAPL", "MSFT"}
    await swagger.screenshot(tmp_path / "portfolio.png")


async def test_redoc_shows_every_operation(
    own: Page, system: Stack, operations: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The page to read has all that there is to call."""
    await own.go(f"{system.rest_url}/redoc")
    await own.until("document.querySelectorAll('[data-section-id]').length")
    shown = await own.evaluate(
        "[...document.querySelectorAll('[data-section-id]')].map(part => part.dataset.sectionId)"
    )
    found = [part for part in shown if "/operation/" in part]
    assert {part.rpartition("/")[2] for part in found} == {one["operationId"] for one in operations}
    await own.screenshot(tmp_path / "redoc.png")
