"""A log at work over a real database, and what is done to it behind its back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compliance.checkpoint import Signer
from compliance.log import AuditLog
from compliance.merkle import Range, inclusion_ranges, leaf_hash
from compliance.reader import Reader, StoredCheckpoint
from compliance.store import Store, connections
from compliance.tiles import MemoryTree
from compliance.verify import InclusionProof, LogVerifier, Verdict
from runtime.serve import Health
from runtime.settings import Settings

SIGNER = Signer("example.com/log", Ed25519PrivateKey.generate())
KEY = str(SIGNER.verifier_key)


@dataclass
class Running:
    """A log at work, without a feed: tests give it the batches."""

    log: AuditLog
    store: Store
    reader: Reader
    health: Health
    tasks: list[asyncio.Task[Any]]

    async def stored(self, seq: int) -> None:
        """Waits until the log ends at `seq`."""
        while (await self.reader.position())[0] < seq:
            self.require_alive()

    async def signed(self, size: int) -> StoredCheckpoint:
        """Waits for the checkpoint that covers `size`."""
        while True:
            checkpoint = await self.reader.checkpoint()
            if checkpoint is not None and checkpoint.tree_size >= size:
                return checkpoint
            self.require_alive()

    def require_alive(self) -> None:
        """Fails with the error of a part that has failed."""
        for task in self.tasks:
            if task.done():
                task.result()


@asynccontextmanager
async def log_over(url: str) -> AsyncIterator[Running]:
    """A log over the database at `url`."""
    settings = Settings(audit_checkpoint_interval_ms=10)
    async with connections(url) as pool:
        reader = Reader(pool)
        store, health = Store(pool, reader, SIGNER), Health()
        log = AuditLog(store, reader, settings, health)
        await log.open()
        tasks = [asyncio.create_task(log.store()), asyncio.create_task(log.publish())]
        try:
            yield Running(log, store, reader, health, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def tree_of(entries: Sequence[bytes]) -> MemoryTree:
    """The tree that these entries make."""
    tree = MemoryTree()
    tree.append([leaf_hash(entry) for entry in entries])
    return tree


async def searched(reader: Reader, checkpoint: StoredCheckpoint, entries: Sequence[bytes]) -> Verdict:
    """What a verifier says of entries, asking the stored hashes for proofs."""
    verifier = LogVerifier()
    verifier.add(entries)
    size = checkpoint.tree_size
    verdict = verifier.check(checkpoint.note, KEY)
    while verdict.ask_for is not None:
        index = verdict.ask_for
        leaf, *hashes = await reader.hashes([Range(index, index + 1), *inclusion_ranges(index, size)], size)
        verdict = verifier.narrow(verdict, InclusionProof(index, leaf, hashes))
    return verdict


async def raw_entries(superuser: Any) -> list[bytes]:
    """All entries as they lie in the table."""
    return [row[0] for row in await superuser.fetch("SELECT entry FROM audit.leaves ORDER BY leaf_index")]


async def lost(superuser: Any, seq: int) -> None:
    """Takes back everything after `seq`, as a crash of the database does with commits that nobody waited for."""
    async with superuser.transaction():
        await superuser.execute("TRUNCATE audit.checkpoints")
        await superuser.execute("DELETE FROM audit.leaves WHERE leaf_index >= $1", seq)
        await superuser.execute("DELETE FROM history.order_state WHERE order_id > $1", seq)
        await superuser.execute("UPDATE audit.position SET seq = $1", seq)
