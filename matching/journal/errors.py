"""What can be wrong with a journal or a snapshot, as a caller can tell it apart.

An `OSError` from `append` is none of these: it is final, and the process must
end, because nobody knows what is on disk.
"""


class JournalLockedError(RuntimeError):
    """Another process writes this journal."""


class FencedError(RuntimeError):
    """A newer epoch exists: another process has taken over, and this one must end."""


class DamagedJournalError(RuntimeError):
    """The journal holds something that was acknowledged and cannot be read."""


class NotKeptError(RuntimeError):
    """What was asked for has been dropped, because a snapshot stands for it."""


class StorageFullError(RuntimeError):
    """There is no room, nothing of the batch was acknowledged, and the journal is as it was before."""


class JournalFailedError(OSError):
    """An append ended and nobody knows whether it happened: the process must end and recover."""


class DamagedSnapshotError(RuntimeError):
    """A snapshot is not what was published."""
