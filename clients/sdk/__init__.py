"""The Python SDK of ordergate: `Client`, `Session`, and what they raise."""

from clients.sdk.audit import AuditLeaves
from clients.sdk.book import Book, BookLevel
from clients.sdk.calls import Patience
from clients.sdk.client import Client, new_key
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
    StreamGap,
    Unauthenticated,
    Unavailable,
)
from clients.sdk.inbox import SessionFrame
from clients.sdk.session import Session
from clients.sdk.tokens import DevKeyTokens, TokenProvider, static_token

__all__ = [
    "AuditLeaves",
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
    "Session",
    "SessionFrame",
    "StreamGap",
    "TokenProvider",
    "Unauthenticated",
    "Unavailable",
    "new_key",
    "static_token",
]
