"""The journal as the sequencer, the feed and recovery see it, whatever it is kept in.

One process writes it. Batches follow each other without a gap; when `append`
returns, the batch is durable. Opening it raises the epoch, so that a writer of
before cannot append any more. `matching.storage` opens it.
"""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from matching.journal.frames import Frame

Covered = Callable[[int], int]
"""Given the oldest seq that is kept, tells up to which seq a verified snapshot stands for the journal.

Asked while opening, when no other process can write any more.
"""


def from_the_beginning(_: int) -> int:
    """No snapshot stands for anything: the journal must reach back to seq 1."""
    return 0


class Journal(Protocol):
    """A journal that is open for writing."""

    @property
    def epoch(self) -> int:
        """Larger than that of every writer before."""

    @property
    def first_seq(self) -> int:
        """The oldest event that is kept; `last_seq + 1` when there is none."""

    @property
    def last_seq(self) -> int:
        """The last durable event, 0 when there is none."""

    @property
    def storage_low(self) -> bool:
        """Whether there was no room for more than what is left.

        While it is true, what can wait must not be begun; `append` still takes
        what fits. It becomes false by itself when there is room again.
        """

    def append(self, first_seq: int, last_seq: int, payload: bytes) -> None:
        """Makes a batch durable: when this returns, no crash takes it back.

        Args:
            first_seq: `last_seq` of the journal and one.
            last_seq: not before `first_seq`.
            payload: the batch; its bytes come back as they are.

        Raises:
            StorageFullError: no room; nothing happened, and a later append may succeed.
            FencedError: another process has taken over. Final.
            OSError: it is unknown whether the batch is durable. Final.
        """

    def read(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """The batches with events after `after_seq`, up to the one with `until_seq`, each checked.

        Safe beside `append`, from any thread, as long as `until_seq` is durable.

        Raises:
            NotKeptError: the event after `after_seq` has been dropped.
            DamagedJournalError: a batch cannot be read or is missing.
            OSError: the storage does not answer; nothing is wrong with the journal.
        """

    def drop_before(self, seq: int) -> None:
        """Lets go of events before `seq`, as far as that is convenient; never of the newest batch.

        From any thread. The caller has made a snapshot durable that stands for them.

        Raises:
            OSError: not everything could be removed; what is left is whole.
        """

    def check(self) -> None:
        """Makes sure that this process is the writer still; from any thread.

        Raises:
            FencedError: another process has taken over.
            OSError: the journal cannot be reached, or has failed before.
        """

    def close(self) -> None:
        """Lets go of the journal; another process can open it."""

    def __enter__(self) -> Self:
        """The journal itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
