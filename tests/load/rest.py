"""A small HTTP/1.1 client for load tests: kept connections, one request on each at a time, JSON in and out.

The usual clients cost more than the servers that they would measure.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

CONNECTIONS_MAX = 256


class RestClient:
    """Connections to one server."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def post(self, path: str, token: str, body: Any) -> tuple[int, Any]:
        """The status and the JSON that a request is answered with.

        Raises:
            OSError: the connection broke.
        """
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        async with self._room:
            reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(head.encode() + content)
                status, answer = await _answer(reader)
            except BaseException:
                writer.close()
                raise
            self._idle.append((reader, writer))
        return status, answer

    async def close(self) -> None:
        """Closes the connections, which must be idle."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
        self._idle.clear()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    content = await reader.readexactly(int(headers["content-length"]))
    return int(status_line.split()[1]), json.loads(content)
