"""Tokens, subjects and roles that are not valid any more, although their tokens have not expired.

The file is JSON, replaced as a whole by rename, and read again by every server
within a moment:

    {"revocations": [
      {"token_id": "5f2c…", "revoked_at": "2026-11-22T18:00:00Z", "why": "laptop lost"},
      {"subject": "alice"},
      {"subject": "bob", "role": "trader", "not_before": "2026-11-22T18:00:00Z"}
    ]}

An entry holds for tokens that match all it names: the `jti`, the subject, or
the subject and a role that the token carries. With `not_before` it holds only
for tokens issued earlier, so that a new one is valid. `revoked_at` and `why`
are for people; by the first, entries of single tokens are dropped once the
tokens have expired anyway. A file that is missing or makes no sense changes
nothing in a running server. `ordergate revoke` and `runtime.verifier` call it.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ordergate.auth.v1 import auth_pb2 as auth

from runtime.claims import CLOCK_LEEWAY_S, Principal
from runtime.tokens import LIFETIME_S_MAX

FILE_BYTES_MAX = 8 * 1024 * 1024
FOR_EVER_S = float("inf")
ROLES = frozenset(name.removeprefix("ROLE_").lower() for name in auth.Role.keys()[1:])
_FIELDS = {"token_id", "subject", "role", "not_before", "revoked_at", "why"}


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry; either `token_id` or `subject` is named. Times are unix seconds."""

    token_id: str = ""
    subject: str = ""
    role: str = ""
    """Such as "trader"; only with a subject."""
    not_before_s: float = FOR_EVER_S
    """Tokens issued from then on are valid."""
    revoked_at_s: float = 0.0
    why: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for an entry that names nothing, too much, or no role that there is."""
        if bool(self.token_id) == bool(self.subject):
            raise ValueError("a revocation names a token_id or a subject, one of them")
        if self.role and not self.subject:
            raise ValueError("a role is revoked for a subject")
        if self.role and self.role not in ROLES:
            raise ValueError(f"there is no role {self.role[:40]!r}")


class Revocations:
    """Revocations, arranged for the question whether a caller's token is still good."""

    def __init__(self, entries: Iterable[Revocation] = ()) -> None:
        # Which tokens each holds for: those issued before.
        self._tokens: dict[str, float] = {}
        self._subjects: dict[str, float] = {}
        self._roles: dict[tuple[str, int], float] = {}
        for entry in entries:
            if entry.token_id:
                _latest(self._tokens, entry.token_id, entry.not_before_s)
            elif entry.role:
                role = int(auth.Role.Value(f"ROLE_{entry.role.upper()}"))
                _latest(self._roles, (entry.subject, role), entry.not_before_s)
            else:
                _latest(self._subjects, entry.subject, entry.not_before_s)

    def __len__(self) -> int:
        return len(self._tokens) + len(self._subjects) + len(self._roles)

    def hold_for(self, principal: Principal) -> bool:
        """Whether the caller's token is revoked."""
        issued = principal.issued_at_s
        return (
            issued < self._tokens.get(principal.token_id, 0.0)
            or issued < self._subjects.get(principal.subject, 0.0)
            or any(issued < self._roles.get((principal.subject, role), 0.0) for role in principal.roles)
        )


def parse(document: bytes) -> list[Revocation]:
    """The entries of a file.

    Raises:
        ValueError: it makes no sense; the text says where.
    """
    try:
        listed = json.loads(document)["revocations"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a file of revocations: {error!r}"[:200]) from None
    if not isinstance(listed, list):
        raise ValueError("not a file of revocations: 'revocations' is no list")
    return [_entry(number, item) for number, item in enumerate(listed)]


def add(path: Path, entries: Sequence[Revocation], now_s: float) -> int:
    """Adds entries to the file, which is made if need be; the number of entries in it then.

    Entries that it has already stay single, and those of tokens that have
    expired are dropped.

    Raises:
        OSError: it cannot be written.
        ValueError: what stands there makes no sense; it is left as it is.
    """
    fresh = [entry if entry.revoked_at_s else _dated(entry, now_s) for entry in entries]

    def added(there: list[Revocation]) -> list[Revocation]:
        replaced = {_what(entry) for entry in fresh}
        kept = [entry for entry in there if _what(entry) not in replaced and not _over(entry, now_s)]
        return kept + fresh

    return _rewrite(path, added)


def remove(path: Path, *, token_id: str = "", subject: str = "", role: str = "") -> int:
    """Takes the entries of a token, of a subject, or of a subject's role out again; how many were there.

    Raises:
        OSError: the file cannot be written.
        ValueError: what stands there makes no sense.
    """
    wanted = (token_id, subject, role)
    removed = 0

    def without(there: list[Revocation]) -> list[Revocation]:
        nonlocal removed
        kept = [entry for entry in there if _what(entry) != wanted]
        removed = len(there) - len(kept)
        return kept

    _rewrite(path, without)
    return removed


def _latest(known: dict[Any, float], key: Any, not_before_s: float) -> None:
    known[key] = max(not_before_s, known.get(key, 0.0))


def _what(entry: Revocation) -> tuple[str, str, str]:
    return entry.token_id, entry.subject, entry.role


def _dated(entry: Revocation, now_s: float) -> Revocation:
    return Revocation(entry.token_id, entry.subject, entry.role, entry.not_before_s, now_s, entry.why)


def _over(entry: Revocation, now_s: float) -> bool:
    """Whether the single token of the entry has expired, whenever it was issued."""
    return bool(entry.token_id and entry.revoked_at_s) and (
        now_s > entry.revoked_at_s + LIFETIME_S_MAX + 2 * CLOCK_LEEWAY_S
    )


def _entry(number: int, item: Any) -> Revocation:
    try:
        if not isinstance(item, dict):
            raise ValueError("no object")
        if unknown := item.keys() - _FIELDS:
            raise ValueError(f"there is no field {min(unknown)[:40]!r}")
        texts = {name: _text(item, name) for name in ("token_id", "subject", "role", "why")}
        return Revocation(
            **texts,
            not_before_s=_time_s(item, "not_before", FOR_EVER_S),
            revoked_at_s=_time_s(item, "revoked_at", 0.0),
        )
    except ValueError as error:
        raise ValueError(f"revocation {number}: {error}") from None


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def _time_s(item: dict[str, Any], name: str, missing_s: float) -> float:
    """A time with its zone (RFC 3339) as unix seconds."""
    if name not in item:
        return missing_s
    time = datetime.fromisoformat(_text(item, name))
    if time.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return time.timestamp()


def _rewrite(path: Path, change: Callable[[list[Revocation]], list[Revocation]]) -> int:
    """Replaces the file by rename, so that nobody ever reads half of it; one writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(path.with_name(f".{path.name}.lock")):
        entries = change(parse(path.read_bytes()) if path.exists() else [])
        document = json.dumps({"revocations": [_written(entry) for entry in entries]}, indent=1) + "\n"
        written = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return len(entries)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _written(entry: Revocation) -> dict[str, str]:
    fields = {
        "token_id": entry.token_id,
        "subject": entry.subject,
        "role": entry.role,
        "not_before": "" if entry.not_before_s == FOR_EVER_S else _rfc3339(entry.not_before_s),
        "revoked_at": _rfc3339(entry.revoked_at_s) if entry.revoked_at_s else "",
        "why": entry.why,
    }
    return {name: value for name, value in fields.items() if value}


def _rfc3339(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
