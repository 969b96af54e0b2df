"""A file that others replace while we run: keys, revocations, certificates.

It is read again when it is another one or looks changed, so also when a mounted
secret's symbolic link is turned to a new version.
"""

import os
from pathlib import Path


class WatchedFile:
    """A file and what it looked like when it was last read."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self.path = path
        self._bytes_max = bytes_max
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bytes | None:
        """What stands in the file now, if it looks otherwise than when it was last read; None otherwise.

        Raises:
            OSError: it cannot be read.
            ValueError: it is too large.
        """
        if _looks(os.stat(self.path)) == self._seen:
            return None
        with self.path.open("rb") as file:
            looks = _looks(os.fstat(file.fileno()))
            content = file.read(self._bytes_max + 1)
        # What cannot be used is not looked at again until it changes.
        self._seen = looks
        if len(content) > self._bytes_max:
            raise ValueError(f"{self.path} has more than {self._bytes_max} bytes")
        return content


def _looks(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
