"""What the tests in a browser share: the bundled client, a server of its pages, one browser, and new tabs in it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import pytest_asyncio

from clients.web import toolchain
from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack
from tests.integration.web.browser import Browser, Page, browser
from tests.integration.web.chromium_package import NoBrowserError, find

DRIVER = Path(__file__).with_name("driver.js")
BLANK = """<!doctype html>
<title>client</title>
<link rel="icon" href="data:,">
<script src="ordergate.js"></script>
<script src="driver.js"></script>
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of `folder` are served as long as the block lasts, without a closing slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest_asyncio.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A system of these tests' own: what others leave in its books would show on the pages."""
    async with stack(isolated(tmp_path_factory.mktemp("web") / "home")) as running:
        yield running


@pytest.fixture(scope="session")
def pages() -> Iterator[str]:
    """Where the example page is served (`/example/index.html`), and one with only the client and `driver.js` (`/`)."""
    folder = toolchain.bundle()
    (folder / "index.html").write_text(BLANK)
    shutil.copy(DRIVER, folder)
    with served(folder) as address:
        yield address


@pytest_asyncio.fixture(scope="session")
async def web_browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """The browser that the tests share."""
    try:
        chromium = await asyncio.to_thread(find)
    except NoBrowserError as error:
        pytest.skip(str(error))
    async with browser(tmp_path_factory.mktemp("browser"), chromium) as running:
        yield running


@pytest_asyncio.fixture
async def page(web_browser: Browser) -> AsyncIterator[Page]:
    """A tab of the test's own."""
    async with web_browser.page() as tab:
        yield tab


@pytest_asyncio.fixture
async def client_page(page: Page, pages: str) -> Page:
    """A tab with nothing but the client, as `ordergate`, and what `driver.js` has."""
    await page.go(f"{pages}/index.html")
    return page
