"""Commands on their way to matching: what gathers while one message is being written goes out together in the next.

No timer, and no message that matching would not read. One for each life of the
link; `gateway.link` fills it.
"""

from __future__ import annotations

import asyncio

from runtime.calls import REQUEST_BYTES_MAX

FRAME_COMMANDS_MAX = 1_024
FRAME_BYTES_MAX = REQUEST_BYTES_MAX // 2
"""Bytes of a message to matching. One that matching would not read would be sent again for ever."""
COMMAND_OVERHEAD_BYTES = 8


class Outbox:
    """Commands that wait for the next message of one life of the link."""

    def __init__(self) -> None:
        self.commands: list[tuple[int, bytes]] = []
        self.gathered = asyncio.Event()
        self.closed = False

    def put(self, correlation: int, command: bytes) -> None:
        """Adds a command."""
        self.commands.append((correlation, command))
        self.gathered.set()

    async def take(self) -> list[tuple[int, bytes]]:
        """All that has gathered, up to the size of a message; at least one, or none once it is closed."""
        await self.gathered.wait()
        if self.closed:
            return []
        count = self._fitting()
        taken, self.commands = self.commands[:count], self.commands[count:]
        if not self.commands:
            self.gathered.clear()
        return taken

    def _fitting(self) -> int:
        """How many of the oldest commands fit into a message, at least one; one by itself always does."""
        size = 0
        for count, (_, command) in enumerate(self.commands[:FRAME_COMMANDS_MAX]):
            size += len(command) + COMMAND_OVERHEAD_BYTES
            if size > FRAME_BYTES_MAX and count:
                return count
        return FRAME_COMMANDS_MAX

    def close(self) -> None:
        """Lets whoever waits go: a call that has ended does not end the reader of its own requests."""
        self.closed = True
        self.gathered.set()
