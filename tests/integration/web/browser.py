"""A real headless browser for tests: started whole, driven like a person would, with all that it did kept.

    async with browser(folder) as running, running.page() as page:
        await page.go("http://127.0.0.1:8000/docs")
        await page.click("text of a button, or selector")

No request can leave this machine: the browser resolves no names, and every
request, console message and uncaught error of a page is kept to be asserted.
"""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.stack.processes import Program
from tests.integration.web.chromium_package import Chromium, find
from tests.integration.web.devtools import DevTools, DevToolsError, start

WITHIN_S = 30.0
ENDS_WITHIN_S = 5.0
WIDTH, HEIGHT = 1280, 900
ARGUMENTS = (
    "--headless",
    "--remote-debugging-pipe",
    # It only sees pages of our own, and containers give it no namespaces to make a sandbox of.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    f"--window-size={WIDTH},{HEIGHT}",
)
# Answered once the expression is true, looked at again with every frame that the page draws.
UNTIL = """
(async () => {
  for (;;) {
    const value = await (%s);
    if (value) return value;
    await new Promise(requestAnimationFrame);
  }
})()
"""
# The middle of the element, once it stands still and nothing covers it.
MIDDLE = """
(async () => {
  let before = "";
  for (;;) {
    const found = %s;
    if (found && !found.disabled) {
      found.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
      const box = found.getBoundingClientRect();
      const x = box.x + box.width / 2, y = box.y + box.height / 2;
      const top = document.elementFromPoint(x, y);
      const place = [x, y].join();
      if (box.width && place === before && top && (found.contains(top) || top.contains(found))) return {x, y};
      before = place;
    }
    await new Promise(requestAnimationFrame);
  }
})()
"""
GONE = ("navigated", "context was destroyed", "Cannot find context", "Promise was collected")


class Page:
    """One tab.

    Attributes:
        errors: what the console showed as an error or warning, and what nobody caught.
        requests: the address of everything that it asked for, in order.
        statuses: the HTTP status of each answer, by address; of several the last.
    """

    def __init__(self, devtools: DevTools, session: str, target: str) -> None:
        self._devtools = devtools
        self._session = session
        self.target = target
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.statuses: dict[str, int] = {}
        self._loaded = asyncio.Event()
        devtools.listen(session, self._take)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the page answers to a command of the protocol; raises DevToolsError."""
        return await self._devtools.call(method, self._session, **parameters)

    async def go(self, url: str) -> None:
        """Opens a page and waits until all of it is loaded."""
        self._loaded.clear()
        answer = await self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        async with asyncio.timeout(WITHIN_S):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited when it is a promise.

        Raises:
            AssertionError: it threw.
            DevToolsError: the page went elsewhere meanwhile.
        """
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        problem = answer.get("exceptionDetails")
        assert problem is None, problem.get("exception", {}).get("description") or problem["text"]
        return answer["result"].get("value")

    async def until(self, expression: str, within_s: float = WITHIN_S) -> Any:
        """The value of a JavaScript expression once it is true.

        Raises:
            AssertionError: it did not become true; the text shows the page.
        """
        return await self._patiently(UNTIL % expression, expression, within_s)

    async def _patiently(self, script: str, what: str, within_s: float) -> Any:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        return await self.evaluate(script)
                    except DevToolsError as error:
                        # The page that was asked is gone; the next one may know.
                        if not any(word in str(error) for word in GONE):
                            raise
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"not within {within_s:g} s: {what}\nerrors: {self.errors}\npage:\n{text}") from None

    async def text(self, selector: str) -> str:
        """The text of the first element of a CSS selector, once there is one."""
        return str(await self.until(f"document.querySelector({json.dumps(selector)})?.innerText"))

    async def click(self, selector: str) -> None:
        """Clicks the first element of a CSS selector with the mouse, once it can be seen and clicked."""
        await self.click_element(f"document.querySelector({json.dumps(selector)})")

    async def click_element(self, expression: str) -> None:
        """Clicks the element that a JavaScript expression gives, as `click` does."""
        place = await self._patiently(MIDDLE % expression, f"a click on {expression}", WITHIN_S)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, **place, button="left", clickCount=1)

    async def fill(self, selector: str, text: str) -> None:
        """Types `text` into a field in place of what was there."""
        await self.click(selector)
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        await self.call("Input.insertText", text=text)

    async def see(self, selector: str) -> None:
        """Scrolls to the first element of a CSS selector, once there is one."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{found} && ({found}.scrollIntoView({{block: 'center', behavior: 'instant'}}), true)")

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a picture of what is seen, or of the whole page, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    @property
    def origins(self) -> set[str]:
        """The origins of everything that it asked for."""
        parts = [urlsplit(url) for url in self.requests]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme not in ("data", "blob")}

    def _take(self, event: str, told: dict[str, Any]) -> None:
        match event:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Network.responseReceived":
                self.statuses[told["response"]["url"]] = told["response"]["status"]
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                shown = [str(part.get("value", part.get("description", ""))) for part in told["args"]]
                self.errors.append(" ".join(shown))
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}".rstrip())


class Browser:
    """A running browser."""

    def __init__(self, devtools: DevTools) -> None:
        self._devtools = devtools

    async def version(self) -> str:
        """Its name and version."""
        return str((await self._devtools.call("Browser.getVersion"))["product"])

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab with cookies and storage of its own, closed afterwards."""
        context = (await self._devtools.call("Target.createBrowserContext"))["browserContextId"]
        target = await self._devtools.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self._devtools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self._devtools, attached["sessionId"], target["targetId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        try:
            yield page
        finally:
            with suppress(DevToolsError):
                await self._devtools.call("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def browser(folder: Path, chromium: Chromium | None = None) -> AsyncIterator[Browser]:
    """A browser that runs as long as the block does.

    Args:
        folder: for its profile and log; made when it is not there.
        chromium: which one; the one that `find` gives when not given.

    Raises:
        NoBrowserError: there is none for this machine.
    """
    which = await asyncio.to_thread(find) if chromium is None else chromium
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(which.executable), *ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]
    environment = {**os.environ, "HOME": str(folder), **which.environment}
    process, devtools = await start(Program("browser", command, folder / "browser.log", environment))
    try:
        yield Browser(devtools)
    finally:
        with suppress(DevToolsError, TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                await devtools.call("Browser.close")
                await process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await devtools.close()
