"""The pages about the REST interface, as the real Envoy serves them, and what streams over REST are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.stack import pages

if TYPE_CHECKING:
    from tests.integration.envoy.conftest import Door

HTML, CSS, SCRIPT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"
SERVED = [
    ("/openapi.json", "openapi.json", "application/json"),
    ("/docs", "docs.html", HTML),
    ("/docs/", "docs.html", HTML),
    ("/docs/docs.css", "docs.css", CSS),
    ("/docs/docs.js", "docs.js", SCRIPT),
    ("/docs/icon.svg", "swagger.svg", "image/svg+xml"),
    ("/docs/swagger-ui.css", "swagger-ui.css", CSS),
    ("/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js", SCRIPT),
    ("/redoc", "redoc.html", HTML),
    ("/redoc/icon.svg", "redoc.svg", "image/svg+xml"),
    ("/redoc/redoc.standalone.js", "redoc.standalone.js", SCRIPT),
]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages as they are gathered."""
    folder = tmp_path_factory.mktemp("pages")
    pages.gather(folder)
    return folder


@pytest.mark.parametrize(("path", "file", "media"), SERVED, ids=[path for path, _, _ in SERVED])
async def test_envoy_page(door: Door, gathered: Path, path: str, file: str, media: str) -> None:
    """A page is its file byte for byte, needs no token, and tells the browser to load nothing from elsewhere."""
    response = await door.bare.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, media)
    assert response.content == (gathered / file).read_bytes()
    assert response.headers["content-security-policy"].startswith("default-src 'none';")
    assert response.headers["x-content-type-options"] == "nosniff"
    head = await door.bare.head(path)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(response.content)))


@pytest.mark.parametrize(("verb", "path"), [("POST", "/docs"), ("GET", "/docs/nosuch"), ("DELETE", "/openapi.json")])
async def test_envoy_page_that_is_none(door: Door, verb: str, path: str) -> None:
    """Pages can only be read, and beside them is nothing: the answer is an error like any other."""
    response = await door.rest.request(verb, path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/json")
    assert response.json()["code"] == 5


@pytest.mark.parametrize("query", ["account=DEMO", "account=DEMO&resume_after=3"])
async def test_envoy_stream_is_called_lines(door: Door, query: str) -> None:
    """A stream over REST is application/x-ndjson: a client that takes it for one JSON value would wait for ever."""
    async with door.rest.stream("GET", f"/api/v1/execution-reports:stream?{query}") as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")


@pytest.mark.parametrize("account", ["NOBODY", "NOBODY:stream"])
async def test_envoy_what_is_no_stream_is_not_called_lines(door: Door, account: str) -> None:
    """An error in a stream's place stays JSON, and so does an answer whose query merely has the word."""
    if account == "NOBODY":
        response = await door.rest.get("/api/v1/execution-reports:stream", params={"account": account})
        assert response.status_code == 403
    else:
        response = await door.rest.get(f"/api/v1/positions?account={account}")
        assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
