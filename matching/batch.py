"""A batch: what one drain of the inbox did, and what one barrier makes durable."""

from dataclasses import dataclass, field

from ordergate.matching.v1 import matching_pb2 as link


@dataclass(slots=True)
class Results:
    """What became of one link's commands in a batch, in their order."""

    correlations: list[int] = field(default_factory=list)
    command_seqs: list[int] = field(default_factory=list)
    """First event of each command; 0 where `replays` answers, or where the command could not be read."""
    replays: list[link.LinkReplay] = field(default_factory=list)
    refusals: list[link.LinkRefusal] = field(default_factory=list)
    """Commands that were turned away."""


@dataclass(slots=True)
class Batch:
    """Events in order, with the commands that caused them and whom to answer."""

    number: int
    """Dense number of the batch since the start of this process, from 1."""
    first_seq: int
    last_seq: int
    """`first_seq - 1` when nothing happened."""
    entries: list[bytes] = field(default_factory=list)
    """The journal's entries, laid out."""
    events: list[bytes] = field(default_factory=list)
    results: dict[int, Results] = field(default_factory=dict)
    durable_unix_ns: int = 0

    def payload(self) -> bytes:
        """What the journal keeps."""
        return b"".join(self.entries)

    def answered(self, link_id: int) -> int:
        """How many commands of a link were carried out."""
        results = self.results.get(link_id)
        return len(results.correlations) if results is not None else 0

    def results_of(self, link_id: int) -> Results:
        """The results of a link, none at first."""
        results = self.results.get(link_id)
        if results is None:
            results = self.results[link_id] = Results()
        return results
