"""The one interceptor: authorization, deadline, size, errors and metrics around every call.

Whoever is not let in never reaches a servicer. A servicer's `Refused` becomes
its coded status; anything else it raises is logged and becomes INTERNAL. The
wrapped handler of each method is built once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime import metrics
from runtime.auth import (
    ANYONE,
    OPEN_SERVICES,
    Verifier,
    authorize,
    bind_account,
    current_principal,
    rule_of,
    set_caller,
)
from runtime.errors import Refused, status_of
from runtime.logs import get_logger

REQUEST_BYTES_MAX = 1024 * 1024
log = get_logger(__name__)
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Guard(grpc.aio.ServerInterceptor):
    """Stands before every method of a server."""

    def __init__(self, verifier: Verifier, default_deadline_s: float) -> None:
        self._verifier = verifier
        self._default_deadline_s = default_deadline_s
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's handler with the guard around it; None for a method that does not exist."""
        method = handler_call_details.method
        guarded = self._handlers.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            guarded = handler if _is_open_service(method) else self._guarded(method, handler)
            self._handlers[method] = guarded
        return guarded

    def _guarded(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        call = _GuardedMethod(method, handler, self._verifier, self._default_deadline_s)
        serializers: dict[str, Any] = {
            "request_deserializer": _Readable(handler.request_deserializer),
            "response_serializer": _serializer(handler.response_serializer),
        }
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call.stream_stream, **serializers)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(call.unary_stream, **serializers)
        if handler.request_streaming:
            raise TypeError(f"{method}: client streaming is not served")
        return grpc.unary_unary_rpc_method_handler(call.unary_unary, **serializers)


class _Unreadable:
    """Stands for a request that is no message of its method, and says why not: gRPC itself would answer UNKNOWN."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


class _Readable:
    """Deserializes a method's requests; bytes that are none, or too many, become `_Unreadable`.

    The size is known here for nothing; a message would have to be measured.
    """

    def __init__(self, deserializer: Callable[[bytes], Message]) -> None:
        self._deserializer = deserializer

    def __call__(self, data: bytes) -> Message | _Unreadable:
        if len(data) > REQUEST_BYTES_MAX:
            return _Unreadable(_too_large(len(data)))
        try:
            return self._deserializer(data)
        except DecodeError:
            text = "the request is not a message of this method"
            return _Unreadable(Refused(types.REASON_FIELD_INVALID, text))


class _GuardedMethod:
    """One method with everything around it."""

    def __init__(self, method: str, handler: Any, verifier: Verifier, default_deadline_s: float) -> None:
        self._method = method
        self._behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_stream
        self._verifier = verifier
        self._default_deadline_s = default_deadline_s
        self._rule = rule_of(method)
        kind = {(False, False): "unary", (False, True): "server_stream", (True, True): "bidi_stream"}
        service, _, name = method.lstrip("/").partition("/")
        self._labels = (kind[bool(handler.request_streaming), bool(handler.response_streaming)], service, name)
        self._started = metrics.started.labels(*self._labels)
        self._received = metrics.received.labels(*self._labels)
        self._sent = metrics.sent.labels(*self._labels)
        self._handling = metrics.handling.labels(*self._labels)
        self._handled_ok = metrics.handled.labels(*self._labels, "OK")

    async def unary_unary(self, request: Message | _Unreadable, context: Context) -> Message | None:
        """A unary call, within its deadline or the default one."""
        began = self._begin()
        try:
            message = await self._admit(context, request)
            deadline_s = None if context.time_remaining() is not None else self._default_deadline_s
            async with asyncio.timeout(deadline_s):
                response: Message = await self._behavior(message, context)
        except BaseException as error:
            status = self._ending(error, began)
            if status is None:
                raise
            await _aborted(context, status)
            return None
        self._sent.inc()
        self._end(began)
        return response

    async def unary_stream(self, request: Message | _Unreadable, context: Context) -> AsyncIterator[Message]:
        """A server stream."""
        began = self._begin()
        try:
            message = await self._admit(context, request)
            async for response in self._behavior(message, context):
                self._sent.inc()
                yield response
        except BaseException as error:
            status = self._ending(error, began)
            if status is None:
                raise
            context.set_trailing_metadata(status.trailing_metadata)
            context.set_code(status.code)
            context.set_details(status.details)
            return
        self._end(began)

    async def stream_stream(
        self, _requests: AsyncIterator[Message | _Unreadable], context: Context
    ) -> AsyncIterator[Message]:
        """A bidirectional stream; the accounts of its first message are held against the token.

        gRPC's own iterator of requests holds itself, once it is used, and with it the call.
        """
        began = self._begin()
        try:
            await self._authorize(context)
            async for response in self._behavior(self._bound(context), context):
                self._sent.inc()
                yield response
        except BaseException as error:
            status = self._ending(error, began)
            if status is None:
                raise
            context.set_trailing_metadata(status.trailing_metadata)
            context.set_code(status.code)
            context.set_details(status.details)
            return
        self._end(began)

    async def _bound(self, context: Context) -> AsyncIterator[Message]:
        first = True
        while (request := await context.read()) is not grpc.aio.EOF:
            yield self._taken(request, bind=first)
            first = False

    def _begin(self) -> float:
        self._started.inc()
        return time.perf_counter()

    async def _admit(self, context: Context, request: Message | _Unreadable) -> Message:
        await self._authorize(context)
        return self._taken(request, bind=True)

    async def _authorize(self, context: Context) -> None:
        rule = self._rule
        principal = ANYONE
        if rule is not None and rule.access != auth.ACCESS_OPEN:
            principal = await self._verifier.verified(_authorization(context), time.time())
        authorize(rule, principal)
        set_caller(principal, self._verifier)

    def _taken(self, request: Message | _Unreadable, *, bind: bool) -> Message:
        """The request, which could be read, is not too large and names no account of others."""
        self._received.inc()
        if isinstance(request, _Unreadable):
            raise request.refused
        if bind and self._rule is not None:
            bind_account(self._rule, current_principal(), request)
        return request

    def _end(self, began: float) -> None:
        self._handled_ok.inc()
        self._handling.observe(time.perf_counter() - began)

    def _ending(self, error: BaseException, began: float) -> grpc.Status | None:
        """The status that the call ends with because of `error`; None when it is to be raised on.

        The error forgets where it was raised: a future may hold it that is held there, and with it the call.
        """
        self._handling.observe(time.perf_counter() - began)
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            metrics.handled.labels(*self._labels, "CANCELLED").inc()
            return None
        refused = self._refusal(error)
        if refused is None:
            return None
        metrics.handled.labels(*self._labels, refused.status.name).inc()
        error.__traceback__ = None
        status: grpc.Status = rpc_status.to_status(status_of(refused))
        return status

    def _refusal(self, error: BaseException) -> Refused | None:
        """The refusal that stands for `error`; None when the process itself is ending."""
        if isinstance(error, Refused):
            return error
        if isinstance(error, TimeoutError):
            text = "the deadline passed before the outcome was known"
            return Refused(types.REASON_DEADLINE, text)
        if isinstance(error, Exception):
            log.error("call failed", method=self._method, exc_info=error)
            return Refused(types.REASON_INTERNAL, "a fault of the server; it has been logged")
        return None


async def _aborted(context: Context, status: grpc.Status) -> None:
    """Ends a unary call with a status, and without a message: over REST that would stand in the place of the error.

    gRPC keeps the exception of an abort in the call, and raises it again when the handler is done. A traceback in it
    would hold the call, and with it its place among those that a connection may have at once, until the garbage
    collector comes by; so it remembers nothing. Streams send no message when they end, and need no abort.
    """
    try:
        await context.abort_with_status(status)
    except grpc.aio.AbortError as abort:
        abort.__traceback__ = abort.__context__ = None


def _serializer(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets a servicer give bytes instead of a message where it has laid the message out itself."""
    return lambda message: message if type(message) is bytes else serialize(message)


def _is_open_service(method: str) -> bool:
    return method.lstrip("/").partition("/")[0] in OPEN_SERVICES


def _authorization(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, str) else None
    return None


def _too_large(size: int) -> Refused:
    return Refused(
        types.REASON_MESSAGE_TOO_LARGE,
        f"a request has at most {REQUEST_BYTES_MAX} bytes, this one has {size}",
        metadata={"max_bytes": str(REQUEST_BYTES_MAX), "bytes": str(size)},
    )
