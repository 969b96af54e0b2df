"""The check that a stream has no hole: each message names the sequence of the one before it. Pure."""


class ChainBroken(Exception):
    """A message does not follow the one before.

    Attributes:
        expected: the sequence that was held.
        got: the sequence that the message says came before it.
    """

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"expected a message that follows {expected}, got one that follows {got}")
        self.expected = expected
        self.got = got


class Chain:
    """The place of a reader in one stream.

    Attributes:
        position: sequence of the last message; None before the stream has begun for the first time.
    """

    __slots__ = ("position",)

    def __init__(self, position: int | None = None) -> None:
        self.position = position

    def begin(self, resume_after: int) -> None:
        """A connection begins after `resume_after`.

        Raises:
            ChainBroken: it begins later than the reader stands.
        """
        if self.position is not None and resume_after > self.position:
            raise ChainBroken(self.position, resume_after)
        if self.position is None:
            self.position = resume_after

    def reset(self, position: int) -> None:
        """What comes next stands for itself: a snapshot, or a stream that numbers from its own beginning."""
        self.position = position

    def advance(self, prev_seq: int, seq: int) -> bool:
        """Takes a message; False when all of it was had before.

        Raises:
            ChainBroken: something is missing before it.
        """
        position = self.position or 0
        if prev_seq > position:
            raise ChainBroken(position, prev_seq)
        if seq <= position:
            return False
        self.position = seq
        return True

    def confirm(self, last_seq: int) -> None:
        """Takes a heartbeat.

        Raises:
            ChainBroken: the server has sent more than has arrived.
        """
        if last_seq > (self.position or 0):
            raise ChainBroken(self.position or 0, last_seq)
