"""The Python SDK of ordergate: `Client`, `Session`, and what they raise."""

from clients.sdk.audit import AuditLeaves
from clients.sdk.baskets import BasketResult
from clients.sdk.book import Book, BookLevel
from clients.sdk.calls import Patience
from clients.sdk.client import Client
from clients.sdk.errors import (
    Denied,
    Internal,
    Invalid,
    NotAllowed,
    NotFound,
    OrdergateError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Revoked,
    StreamGap,
    Unauthenticated,
    Unavailable,
)
from clients.sdk.inbox import SessionFrame
from clients.sdk.session import Session
from clients.sdk.tls import tls_credentials
from clients.sdk.tokens import DevKeyTokens, TokenProvider, static_token
from clients.sdk.trading import new_key

__all__ = [
    "AuditLeaves",
    "BasketResult",
    "Book",
    "BookLevel",
    "Client",
    "Denied",
    "DevKeyTokens",
    "Internal",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "OrdergateError",
    "OutcomeUnknown",
    "Patience",
    "RateLimited",
    "Rejected",
    "Revoked",
    "Session",
    "SessionFrame",
    "StreamGap",
    "TokenProvider",
    "Unauthenticated",
    "Unavailable",
    "new_key",
    "static_token",
    "tls_credentials",
]
