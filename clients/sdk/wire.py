"""Reads and writes of one gRPC stream, with every way to fail turned into an `OrdergateError`."""

import asyncio
from typing import Any

import grpc

from clients.sdk import errors


async def read(call: Any, timeout_s: float) -> Any:
    """The next message.

    Raises:
        Unavailable: silence for `timeout_s`, an end without a word, or a connection that was dropped.
        OrdergateError: the server's own answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            message = await call.read()
    except grpc.aio.AioRpcError as failure:
        raise errors.from_rpc(failure) from None
    except TimeoutError:
        raise errors.Unavailable("the server fell silent", reason="SILENT") from None
    except asyncio.CancelledError:
        _raise_if_cancelled()
        raise errors.Unavailable("the connection was dropped", reason="ENDED") from None
    if message is grpc.aio.EOF:
        raise errors.Unavailable("the server ended the stream", reason="ENDED")
    return message


async def write(call: Any, message: Any, timeout_s: float | None = None) -> None:
    """Writes a message.

    Raises:
        Unavailable: the connection has ended; a read tells why.
        OrdergateError: the server's own answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await call.write(message)
    except grpc.aio.AioRpcError as failure:
        raise errors.from_rpc(failure) from None
    except (asyncio.InvalidStateError, TimeoutError):
        raise errors.Unavailable("the connection has ended", reason="ENDED") from None
    except asyncio.CancelledError:
        _raise_if_cancelled()
        raise errors.Unavailable("the connection was dropped", reason="ENDED") from None


def _raise_if_cancelled() -> None:
    """Raises on when the task itself is being cancelled; gRPC raises CancelledError for a dropped call too."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
