"""A server and its keys: what a call is told while they come, go, and cannot be had."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runtime.revocations import Revocation, add
from runtime.tokens import write_jwks
from tests.unit.runtime.test_runtime_serve import Door, answered, door

REFUSED_WITHIN_S = 30


@asynccontextmanager
async def publisher(folder: Path) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """An identity provider over real HTTP: its address, and the keys that it publishes; without any it is broken."""
    keys: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"keys": keys}).encode()
        status = b"200 OK" if keys else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", keys


def keys_in(folder: Path) -> list[dict[str, str]]:
    """The keys of the file."""
    keys: list[dict[str, str]] = json.loads((folder / "keys" / "jwks.json").read_text())["keys"]
    return keys


async def refused_in_time(opened: Door) -> tuple[grpc.StatusCode, str]:
    """Calls until it is refused."""
    async with asyncio.timeout(REFUSED_WITHIN_S):
        while True:
            try:
                await opened.call(answered)
            except grpc.aio.AioRpcError:
                return await opened.refused(answered)


async def let_in(call: Callable[[], Awaitable[object]]) -> None:
    """Calls until it is let in."""
    async with asyncio.timeout(REFUSED_WITHIN_S):
        while True:
            try:
                await call()
            except grpc.aio.AioRpcError:
                continue
            return


async def test_a_key_that_is_taken_away_ends_its_tokens(tmp_path: Path) -> None:
    """While the server runs, also for a token that it knows; when the key comes back the token is good again."""
    async with door(tmp_path) as opened:
        await opened.call(answered)
        keys = keys_in(tmp_path)
        write_jwks(tmp_path / "keys" / "jwks.json", [key for key in keys if key["kid"] != "dev"])
        assert await refused_in_time(opened) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
        write_jwks(tmp_path / "keys" / "jwks.json", keys)
        await let_in(lambda: opened.call(answered))


async def test_a_revoked_subject_is_refused(tmp_path: Path) -> None:
    """With its reason; by what stands in a file that was not there when the server began."""
    async with door(tmp_path) as opened:
        await opened.call(answered)
        add(tmp_path / "keys" / "revocations.json", [Revocation(subject="me")], time.time())
        assert await refused_in_time(opened) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")


async def test_while_keys_cannot_be_had_a_client_is_told_to_try_again(tmp_path: Path) -> None:
    """A provider that was never reached: the token may be good, so it is not called bad; then it is taken."""
    async with publisher(tmp_path) as (url, keys), door(tmp_path, auth_jwks_url=url) as opened:
        dev = next(key for key in keys_in(tmp_path) if key["kid"] == "dev")
        write_jwks(tmp_path / "keys" / "jwks.json", [key for key in keys_in(tmp_path) if key["kid"] != "dev"])
        assert await refused_in_time(opened) == (grpc.StatusCode.UNAVAILABLE, "KEYS_UNAVAILABLE")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await opened.call(answered)
        status = rpc_status.from_call(error.value)  # type: ignore[arg-type]  # it has what a call has
        assert status is not None
        assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
        keys.append(dev)
        await let_in(lambda: opened.call(answered))
