"""The keys that tokens are verified with: those of a file, and those that an identity provider publishes.

Keys come and go while the server runs. A source that cannot be read or makes no
sense changes nothing: its last keys stay. A key that a readable source no
longer names is gone with the next look. Keys of the file come first; the key of
the servers is never taken from elsewhere. `runtime.verifier` calls it.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge

from runtime.errors import Refused
from runtime.fetching import fetch
from runtime.keys import JWKS_BYTES_MAX, Key, parse
from runtime.logs import get_logger
from runtime.tokens import SERVICE_KID
from runtime.watched import WatchedFile

FETCH_TIMEOUT_S = 2.0
FETCH_RETRY_S = 5.0
LOOK_UP_INTERVAL_S = 1.0
log = get_logger(__name__)
known = Gauge("ordergate_auth_keys", "Keys that tokens are verified with, by where they come from.", ["source"])
looks = Counter(
    "ordergate_auth_key_looks_total", "Looks at a source of keys that had an outcome.", ["source", "outcome"]
)


class UnknownKeyError(Refused):
    """The key that a token names is not known; a look at the sources may change that."""


class Keyring:
    """The keys known now."""

    def __init__(
        self, file: Path, url: str | None, refresh_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file; the URL is asked by `look`.

        Raises:
            OSError: the file cannot be read, and there is no URL.
            ValueError: it holds no usable key, and there is no URL; or it makes no sense.
        """
        self._file = WatchedFile(file, JWKS_BYTES_MAX)
        self._url = url
        self._refresh_s = refresh_s
        self._clock = clock
        self._of_file: dict[str, Key] = {}
        self._of_url: dict[str, Key] | None = None
        self._keys: dict[str, Key] = {}
        self._signers: frozenset[str] = frozenset()
        self._fetch_due_s = clock()
        self._looked_up_s = -LOOK_UP_INTERVAL_S
        self._looking: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self.version = 0
        """Changes whenever the keys do."""
        self._read_first()

    def find(self, kid: str) -> Key:
        """The key called `kid`.

        Raises:
            UnknownKeyError: there is none, or the identity provider was never reached.
        """
        key = self._keys.get(kid)
        if key is not None:
            return key
        if self._url is not None and self._of_url is None and kid != SERVICE_KID:
            raise UnknownKeyError(types.REASON_KEYS_UNAVAILABLE, "the keys of the identity provider are not known yet")
        raise UnknownKeyError(types.REASON_TOKEN_INVALID, "the token is not valid: its key is unknown")

    def trusts(self, signer: str) -> bool:
        """Whether the key that is called `Key.signer` is still among the keys."""
        return signer in self._signers

    async def look(self) -> None:
        """Takes over what has changed in the file, and in the URL when its time has come; meant to be called often."""
        await self._look_at_file()
        if self._url is not None and self._clock() >= self._fetch_due_s:
            await self._look_once()

    async def close(self) -> None:
        """Ends a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def look_up(self) -> bool:
        """Looks at the file and the URL because a token names an unknown key; whether it did: once a second at most."""
        if self._looking is None and self._clock() - self._looked_up_s < LOOK_UP_INTERVAL_S:
            return False
        await self._look_once()
        return True

    async def _look_once(self) -> None:
        """Shares one look among all who want one; it goes on when one of them leaves."""
        if self._looking is None:
            self._looked_up_s = self._clock()
            self._looking = asyncio.create_task(self._look_everywhere())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    def _looked(self, _task: asyncio.Task[None]) -> None:
        self._looking = None

    async def _look_everywhere(self) -> None:
        await self._look_at_file()
        if self._url is None:
            return
        try:
            found = parse(await fetch(self._url, timeout_s=FETCH_TIMEOUT_S, bytes_max=JWKS_BYTES_MAX))
        except (OSError, ValueError) as error:
            self._fetch_due_s = self._clock() + min(FETCH_RETRY_S, self._refresh_s)
            looks.labels("url", "failed").inc()
            log.warning("keys cannot be fetched; those known stay", url=self._url, error=str(error))
            return
        self._fetch_due_s = self._clock() + self._refresh_s
        looks.labels("url", "read").inc()
        # Whoever publishes keys for people must not be able to make servers.
        self._of_url = {kid: key for kid, key in found.items() if kid != SERVICE_KID}
        self._merge()

    def _read_first(self) -> None:
        try:
            self._of_file = self._changed() or {}
        except FileNotFoundError:
            if self._url is None:
                raise
        if not self._of_file and self._url is None:
            raise ValueError(f"{self._file.path} holds no Ed25519 or P-256 key")
        self._merge()

    async def _look_at_file(self) -> None:
        # One at a time, or what was read first might be taken over last.
        async with self._reading:
            try:
                found = await asyncio.to_thread(self._changed)
            except FileNotFoundError:
                return
            except (OSError, ValueError) as error:
                looks.labels("file", "failed").inc()
                log.warning("keys cannot be read; those known stay", file=str(self._file.path), error=str(error))
                return
            if found is not None:
                looks.labels("file", "read").inc()
                self._of_file = found
                self._merge()

    def _changed(self) -> dict[str, Key] | None:
        document = self._file.changed()
        return None if document is None else parse(document)

    def _merge(self) -> None:
        keys = {**(self._of_url or {}), **self._of_file}
        known.labels("file").set(len(self._of_file))
        known.labels("url").set(len(self._of_url or {}))
        signers = frozenset(key.signer for key in keys.values())
        if signers != self._signers:
            self._keys, self._signers = keys, signers
            self.version += 1
            log.info("keys", kids=sorted(keys))
