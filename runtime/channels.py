"""Channels: how a process reaches a server, in plain text or with TLS.

Keepalive and message sizes agree with what a server accepts: both are in `runtime.limits`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from runtime.limits import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX, UNLIMITED, Options, keepalive
from runtime.logs import get_logger
from runtime.settings import Settings
from runtime.tls import channel_credentials, client_looks
from runtime.tokens import service_metadata

log = get_logger(__name__)
RECONNECT_MIN_MS = 100
CONNECTING_MS_MAX = 5_000
"""How long an attempt to connect may take, TLS and all, which is what gRPC makes of its shortest backoff: after an
attempt that failed sooner the next one comes as the other two say."""
RECONNECT_MAX_MS = 1_000

_CONNECTION: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    *keepalive(KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS),
    ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
    ("grpc.min_reconnect_backoff_ms", CONNECTING_MS_MAX),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
)
OPTIONS = (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), *_CONNECTION)
_SERVICE_OPTIONS = (("grpc.max_receive_message_length", UNLIMITED), *_CONNECTION)


def client_channel(address: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """A channel to `address`, as `host:port`; with TLS when `credentials` are given."""
    return _opened(address, credentials, OPTIONS)


def service_channel(address: str, settings: Settings, name: str) -> grpc.aio.Channel:
    """A channel to another server whose unary and server-streaming calls carry the token of the server `name`.

    A bidirectional stream is given `service_metadata` by its caller: an
    interceptor would stand in the way of every one of its messages. Certificates
    are those that the files hold now; a channel that was opened later has later ones.

    Raises:
        OSError: a certificate cannot be read.
        ValueError: a certificate is none, or does not fit its key.
    """
    interceptors: list[grpc.aio.ClientInterceptor] = [_UnaryUnary(settings, name), _UnaryStream(settings, name)]
    return _opened(address, channel_credentials(settings), _SERVICE_OPTIONS, interceptors)


class Renewable:
    """A channel to another server that is opened anew once its certificates have been replaced.

    A channel shows the certificate that it was opened with, whenever it
    connects again; one that lives for long would one day show one that has
    ended. The channel before the present one stays open for calls under way.
    """

    def __init__(self, opened: Callable[[], grpc.aio.Channel], settings: Settings) -> None:
        """Opens the channel; raises as `opened` does."""
        self._open = opened
        self._settings = settings
        self._looked = client_looks(settings)
        self._before: grpc.aio.Channel | None = None
        self.channel = opened()

    async def renew(self) -> bool:
        """Opens `channel` anew if a certificate has been replaced, and fits its key; whether it did."""
        try:
            looks = client_looks(self._settings)
            if looks == self._looked:
                return False
            fresh = self._open()
        except (OSError, ValueError) as error:
            log.warning("certificates cannot be taken over", error=str(error))
            return False
        older, self._before, self.channel, self._looked = self._before, self.channel, fresh, looks
        if older is not None:
            await older.close()
        return True

    async def close(self) -> None:
        """Closes what is open."""
        for channel in (self._before, self.channel):
            if channel is not None:
                await channel.close()


def _opened(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    options: Options,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(address, credentials, options=options, interceptors=interceptors)


class _WithToken:
    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name

    def details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *service_metadata(self._settings, self._name))
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_WithToken, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self.details(client_call_details), request)


class _UnaryStream(_WithToken, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self.details(client_call_details), request)
