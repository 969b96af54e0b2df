"""The store of snapshots, whatever it is in, and the choice of the one to begin with.

Only who holds the journal publishes. The two newest generations are kept: if
the newest cannot be read, the one before serves, as long as the journal still
reaches back to it. Nothing that cannot be read is passed over in silence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from matching.journal.errors import DamagedSnapshotError
from matching.snapshots.form import Snapshot


@dataclass(frozen=True, slots=True)
class Candidate:
    """A snapshot that was found."""

    name: str
    snapshot: Snapshot | None
    """None when it cannot be used."""
    damage: str = ""
    """Why it cannot."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where recovery begins."""

    snapshot: Snapshot | None
    """None: with the first event of all."""
    refused: Sequence[str] = ()
    """Newer ones that cannot be used, and why."""

    @property
    def seq(self) -> int:
        """The last event that need not be carried out again."""
        return self.snapshot.seq if self.snapshot is not None else 0


class Snapshots(Protocol):
    """The snapshots of a venue."""

    def publish(self, snapshot: Snapshot) -> int:
        """Makes a snapshot durable as a whole, and removes those that nobody needs any more.

        May take seconds: not on an event loop.

        Returns:
            The seq of the older snapshot that is kept, 0 when there is none:
            events after it must stay in the journal, and
            `journal.drop_before(seq + 1)` is safe.

        Raises:
            StorageFullError: no room; the snapshots of before stand.
            OSError: it could not be written; the snapshots of before stand.
        """

    def load(self) -> Iterator[Candidate]:
        """What there is, the newest first, each read and checked when it is its turn.

        Raises:
            OSError: the store cannot be reached.
        """


def choose(snapshots: Snapshots, journal_first_seq: int) -> Choice:
    """The newest snapshot that can be read and from which the journal goes on.

    Args:
        snapshots: the store.
        journal_first_seq: the oldest event of the journal, as `Covered` gets it.

    Raises:
        DamagedSnapshotError: there is none, and the journal does not begin with seq 1; names what was refused.
    """
    refused = []
    for candidate in snapshots.load():
        snapshot = candidate.snapshot
        if snapshot is None:
            refused.append(candidate.damage)
        elif snapshot.seq + 1 < journal_first_seq:
            refused.append(f"{candidate.name}: the journal begins with seq {journal_first_seq} only")
        else:
            return Choice(snapshot, refused)
    if journal_first_seq > 1:
        reasons = "; ".join(refused) or "there is none"
        raise DamagedSnapshotError(f"the journal begins with seq {journal_first_seq}, and no snapshot helps: {reasons}")
    return Choice(None, refused)


def first_readable(candidates: Iterator[Candidate]) -> int:
    """The seq of the first that can be read, 0 when there is none."""
    return next((one.snapshot.seq for one in candidates if one.snapshot is not None), 0)
