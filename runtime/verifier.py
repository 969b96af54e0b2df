"""Verifies bearer tokens, and remembers those that it has seen.

What holds of a token when it is verified may end before the token does: its
key is taken away, or it is revoked. So a remembered token is held against both
in every call, and live streams ask `is_revoked` as long as they live.
`running` in `runtime.serve` makes one for each server and keeps it up to date.
"""

import asyncio
from pathlib import Path
from typing import NoReturn, Self

import jwt
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Gauge

from runtime import revocations
from runtime.claims import Principal, check_alive, principal_of
from runtime.errors import Refused
from runtime.keyring import Keyring, UnknownKeyError
from runtime.keys import ALGORITHMS
from runtime.logs import get_logger
from runtime.settings import Settings
from runtime.tokens import SERVICE_KID
from runtime.watched import WatchedFile

VERIFIED_TOKENS_MAX = 10_000
TOKEN_CHARS_MAX = 8_192
WATCH_INTERVAL_S = 0.25
"""Time between two looks at the files: a revoked token is refused within a second."""
REFRESH_DEFAULT_S = 60.0
log = get_logger(__name__)
revoked = Gauge("ordergate_auth_revocations", "Tokens, subjects and roles that are revoked.")
_signatures = jwt.PyJWS(algorithms=ALGORITHMS)


class Verifier:
    """Verifies tokens against the keys of a JWKS file and of a URL, and against what has been revoked."""

    def __init__(
        self,
        jwks_file: Path,
        issuer: str,
        audience: str,
        *,
        jwks_url: str | None = None,
        revocations_file: Path | None = None,
        refresh_s: float = REFRESH_DEFAULT_S,
    ) -> None:
        """Reads the keys and the revocations of the files.

        Raises:
            OSError: a file cannot be read.
            ValueError: there is no key and no URL to have one from, or a file makes no sense.
        """
        self._issuer = issuer
        self._audience = audience
        self._keyring = Keyring(jwks_file, jwks_url, refresh_s)
        self._version = self._keyring.version
        self._verified: dict[str, Principal] = {}
        self._revocations = revocations.Revocations()
        self._file = WatchedFile(revocations_file, revocations.FILE_BYTES_MAX) if revocations_file else None
        self._read_revocations()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The verifier of a server; raises as the constructor does."""
        return cls(
            settings.auth_jwks_file,
            settings.auth_issuer,
            settings.auth_audience,
            jwks_url=settings.auth_jwks_url,
            revocations_file=settings.auth_revocations_file,
            refresh_s=settings.auth_jwks_refresh_s,
        )

    def principal(self, authorization: str | None, now_s: float) -> Principal:
        """The caller behind an `authorization` header, with the keys known now.

        Raises:
            Refused: AUTH reasons, with what is wrong.
        """
        if not authorization:
            raise Refused(types.REASON_TOKEN_MISSING, "the authorization header is missing")
        if self._version != self._keyring.version:
            self._version = self._keyring.version
            self._verified.clear()
        known = self._verified.get(authorization)
        if known is None:
            known = self._verify(authorization, now_s)
            if len(self._verified) >= VERIFIED_TOKENS_MAX:
                self._verified.clear()
            self._verified[authorization] = known
        check_alive(known.expires_at_s, now_s)
        if self._revocations and self._revocations.hold_for(known):
            raise Refused(types.REASON_TOKEN_REVOKED, "the token has been revoked")
        return known

    async def verified(self, authorization: str | None, now_s: float) -> Principal:
        """As `principal`, but looks for a key that is not known before it refuses the token.

        Raises:
            Refused: AUTH reasons, with what is wrong.
        """
        try:
            return self.principal(authorization, now_s)
        except UnknownKeyError:
            if not await self._keyring.look_up():
                raise
        return self.principal(authorization, now_s)

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token, its subject, a role of it or its key is not valid any more; cheap enough to ask often."""
        if principal.signer and not self._keyring.trusts(principal.signer):
            return True
        return bool(self._revocations) and self._revocations.hold_for(principal)

    async def look(self) -> None:
        """Takes over what has changed in the files, and in the URL when its time has come."""
        await asyncio.to_thread(self._look_at_revocations)
        await self._keyring.look()

    async def run(self) -> NoReturn:
        """Keeps keys and revocations up to date, until it is cancelled."""
        looking: asyncio.Task[None] | None = None
        try:
            while True:
                await asyncio.to_thread(self._look_at_revocations)
                # A provider that is slow to answer holds up no revocation.
                if looking is None or looking.done():
                    looking = asyncio.create_task(self._keyring.look(), name="keys")
                await asyncio.sleep(WATCH_INTERVAL_S)
        finally:
            if looking is not None:
                looking.cancel()
            await self._keyring.close()

    def _verify(self, authorization: str, now_s: float) -> Principal:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(types.REASON_TOKEN_MISSING, "the authorization header is not 'Bearer <token>'")
        if len(token) > TOKEN_CHARS_MAX:
            raise _invalid(f"it has more than {TOKEN_CHARS_MAX} characters")
        try:
            header = _signatures.get_unverified_header(token)
            # RFC 7515 4.1.11: what must be understood and is not. We understand no extension.
            if "crit" in header or "b64" in header:
                raise _invalid("it asks for extensions")
            key = self._keyring.find(str(header.get("kid", "")))
            # The key decides the algorithm, whatever the token says.
            payload = _signatures.decode(token, key.public_key, algorithms=[key.algorithm])
        except (jwt.PyJWTError, TypeError, ValueError, RecursionError) as error:
            raise _invalid(str(error)[:120]) from None
        return principal_of(
            payload,
            issuer=self._issuer,
            audience=self._audience,
            signer=key.signer,
            is_service=key.kid == SERVICE_KID,
            now_s=now_s,
        )

    def _read_revocations(self) -> None:
        """Raises OSError and ValueError; a file that is not there revokes nothing."""
        if self._file is None:
            return
        try:
            document = self._file.changed()
        except FileNotFoundError:
            return
        if document is not None:
            self._revocations = revocations.Revocations(revocations.parse(document))
            revoked.set(len(self._revocations))
            log.info("revocations", count=len(self._revocations))

    def _look_at_revocations(self) -> None:
        try:
            self._read_revocations()
        except (OSError, ValueError) as error:
            log.error("revocations cannot be read; those known stay", error=str(error))


def _invalid(why: str) -> Refused:
    return Refused(types.REASON_TOKEN_INVALID, f"the token is not valid: {why}")
