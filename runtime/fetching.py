"""Fetches a small document over HTTP, within one deadline and one bound on its size.

Redirects are not followed: an address that keys come from is the one that was
configured. `runtime.keyring` calls it.
"""

import asyncio
import io
import ssl
from http.client import HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import urlsplit

HEADER_BYTES_MAX = 32 * 1024
PORTS = {"http": 80, "https": 443}


class FetchError(OSError):
    """The document could not be had."""


async def fetch(url: str, *, timeout_s: float, bytes_max: int) -> bytes:
    """The body of what GET of `url` answers with 200.

    Raises:
        FetchError: it cannot be reached in time, answers otherwise, or with too much.
        ValueError: not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"not an address of http or https: {url}")
    port = parts.port or PORTS[parts.scheme]
    context = ssl.create_default_context() if parts.scheme == "https" else None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    # "close" makes the end of the connection the end of the answer.
    asked = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n".encode()
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _exchanged(parts.hostname, port, context, asked, HEADER_BYTES_MAX + bytes_max)
        return _body(answer, bytes_max)
    except TimeoutError:
        raise FetchError(f"no answer within {timeout_s:g} s") from None
    except FetchError:
        raise
    except (OSError, HTTPException) as error:
        raise FetchError(str(error) or type(error).__name__) from error


async def _exchanged(host: str, port: int, context: ssl.SSLContext | None, asked: bytes, bytes_max: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(asked)
        received = bytearray()
        while chunk := await reader.read(64 * 1024):
            received += chunk
            if len(received) > bytes_max:
                raise FetchError(f"the answer is larger than {bytes_max} bytes")
        return bytes(received)
    finally:
        writer.close()


def _body(answer: bytes, bytes_max: int) -> bytes:
    response = HTTPResponse(cast(Any, _Received(answer)))
    response.begin()
    if response.status != 200:
        raise FetchError(f"the answer is {response.status} {response.reason}"[:100])
    body = response.read(bytes_max + 1)
    if len(body) > bytes_max or (response.length or 0) > 0:
        raise FetchError("the answer is larger than it may be, or broke off")
    return body


class _Received:
    """Received bytes as the connection that `HTTPResponse` reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
