"""The audit log proved through the command line, and what it says when something was tampered with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from ordergate.matching.v1 import events_pb2 as events

from compliance.checkpoint import Signer
from matching.journal.file import segments_of
from matching.journal.frames import SEGMENT_HEADER_BYTES, encode_frame, frames_in

if TYPE_CHECKING:
    from runtime.stack.system import Stack
    from tests.integration.conftest import Ordergate


@pytest_asyncio.fixture
async def report(ordergate: Ordergate) -> dict[str, Any]:
    """The report of an order whose entry a checkpoint covers."""
    (made,) = (await ordergate("--json", "order", "submit", "MSFT", "buy", 2, "--price", "1.11")).objects
    while True:
        (outcome,) = (await ordergate("audit", "verify", "--json")).objects
        assert outcome["ok"]
        if outcome["tree_size"] > int(made["audit_index"]):
            return made


@pytest.fixture
def altered_journal(system: Stack, tmp_path: Path) -> Path:
    """A copy of the journal in which somebody has renamed an account, with valid checksums."""
    folder = tmp_path / "journal"
    shutil.copytree(system.settings.journal_dir, folder)
    _, path = segments_of(folder)[0]
    data = path.read_bytes()
    altered = bytearray(data[:SEGMENT_HEADER_BYTES])
    for frame in frames_in(data, path.name, 0):
        batch = events.JournalBatch.FromString(frame.payload)
        for entry in batch.entries:
            entry.events[:] = [event.replace(b"DEMO", b"OMED") for event in entry.events]
        altered += encode_frame(frame.first_seq, frame.last_seq, frame.epoch, batch.SerializeToString())
    path.write_bytes(altered.ljust(len(data), b"\0"))
    return folder


async def test_the_log_is_verified_from_outside(ordergate: Ordergate, report: dict[str, Any]) -> None:
    """Every entry is hashed again; the command says whose key it trusted, and takes a pinned one."""
    (outcome,) = (await ordergate("audit", "verify", "--json")).objects
    assert (outcome["ok"], outcome["finding"], outcome["key_pinned"]) == (True, "VERIFIED", False)
    assert outcome["tree_size"] > int(report["audit_index"])
    pinned = await ordergate("audit", "verify", "--verifier-key", outcome["verifier_key"])
    assert pinned.code == 0
    assert f"{outcome['verifier_key']} (pinned)" in pinned.out


async def test_another_key_is_not_believed(ordergate: Ordergate, system: Stack) -> None:
    """A checkpoint that the pinned key did not sign fails with its finding, on one line."""
    stranger = Signer.from_pem(system.settings.audit_origin, system.settings.auth_dev_key_file.read_bytes())
    failed = await ordergate("audit", "verify", "--verifier-key", stranger.verifier_key)
    assert failed.code == 1
    (line,) = failed.err.splitlines()
    assert line.startswith("ordergate: CHECKPOINT_INVALID: ")


async def test_the_log_is_the_journal(ordergate: Ordergate, system: Stack, report: dict[str, Any]) -> None:
    """With --journal each entry is compared with the event the matching server has on disk."""
    (outcome,) = (await ordergate("audit", "verify", "--journal", system.settings.journal_dir, "--json")).objects
    assert outcome["ok"]
    assert outcome["entries_equal_to_journal"] == outcome["tree_size"] > int(report["audit_index"])


@pytest.mark.usefixtures("report")
async def test_a_journal_that_differs_is_found(ordergate: Ordergate, altered_journal: Path) -> None:
    """The first entry that differs is named."""
    failed = await ordergate("audit", "verify", "--journal", altered_journal, "--json")
    assert failed.code == 1
    (outcome,) = failed.objects
    assert (outcome["ok"], outcome["finding"]) == (False, "ENTRY_CHANGED")
    assert f"entry {outcome['leaf_index']} " in failed.err


async def test_a_kept_checkpoint_must_be_grown_from(
    ordergate: Ordergate, system: Stack, report: dict[str, Any], tmp_path: Path
) -> None:
    """A log that only grew passes; one that was rolled back or rewritten under the same key does not."""
    kept = tmp_path / "checkpoint"
    (first,) = (await ordergate("audit", "verify", "--keep", kept, "--json")).objects
    assert "grown_from_size" not in first
    (second,) = (await ordergate("audit", "verify", "--keep", kept, "--json")).objects
    assert second["grown_from_size"] == first["tree_size"]
    signer = Signer.from_pem(system.settings.audit_origin, system.settings.audit_key_file.read_bytes())
    for size, finding in ((10**9, "ENTRIES_MISSING"), (int(report["audit_index"]), "PROOF_INVALID")):
        kept.write_text(signer.sign(size, bytes(32)))
        failed = await ordergate("audit", "verify", "--keep", kept)
        assert failed.code == 1
        assert failed.err.startswith(f"ordergate: {finding}: ")


async def test_a_trade_is_proved_and_checked_offline(
    ordergate: Ordergate, report: dict[str, Any], tmp_path: Path
) -> None:
    """The proof of an order's entries is verified here, written down, and holds without any server."""
    proved = await ordergate("audit", "prove", "--order", report["order_id"], "--write", tmp_path, "--json")
    assert [one["leaf_index"] for one in proved.objects] == [int(report["audit_index"])]
    name = f"{int(report['audit_index']):012d}"
    proof, entry = tmp_path / f"{name}.tlog-proof", tmp_path / f"{name}.entry"
    assert events.Event.FromString(entry.read_bytes()).order.cl_ord_id == report["cl_ord_id"]
    (trusted,) = (await ordergate("audit", "verify", "--json")).objects
    arguments = ("audit", "check", proof, entry, "--verifier-key", trusted["verifier_key"])
    checked = await ordergate(*arguments, ORDERGATE_COMPLIANCE_ADDRESS="127.0.0.1:1")
    assert checked.out.startswith("verified: ")
    entry.write_bytes(entry.read_bytes() + b"\0")
    failed = await ordergate(*arguments)
    assert (failed.code, failed.out) == (1, "")
    assert "PROOF_INVALID" in failed.err


async def test_an_entry_is_proved_by_its_index(ordergate: Ordergate, report: dict[str, Any]) -> None:
    """The audit index of a report is enough."""
    proved = await ordergate("audit", "prove", "--index", report["audit_index"])
    assert proved.code == 0
    assert f"entry {report['audit_index']} is in the log" in proved.out
    assert "the log's own word for its key" in proved.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--index", "999999999"), "NOT_IN_LOG"), (("--order", "999999999"), "ORDER_UNKNOWN")],
)
async def test_what_is_not_in_the_log_cannot_be_proved(
    ordergate: Ordergate, arguments: tuple[str, ...], reason: str
) -> None:
    """The failure carries the reason's code."""
    failed = await ordergate("audit", "prove", *arguments)
    assert failed.code == 1
    assert failed.err.startswith(f"ordergate: {reason}: ")


async def test_entries_are_listed_by_filter(ordergate: Ordergate, report: dict[str, Any]) -> None:
    """An order's entries carry who asked and the bytes that were hashed."""
    listed = (await ordergate("audit", "list", "--cl-ord-id", report["cl_ord_id"], "--json")).objects
    assert [one["leaf_index"] for one in listed] == [report["audit_index"]]
    assert listed[0]["account"] == "DEMO"
    shown = await ordergate("audit", "list", "--limit", 3)
    assert "leaf hash" in shown.out


async def test_a_trader_may_not_read_the_whole_log(ordergate: Ordergate, system: Stack) -> None:
    """Reading all entries takes an auditor."""
    failed = await ordergate("audit", "verify", ORDERGATE_TOKEN=system.token("trader"))
    assert failed.code == 1
    assert failed.err.startswith("ordergate: ROLE_NOT_ALLOWED: ")


async def test_the_journal_is_replayed_offline(ordergate: Ordergate, system: Stack, altered_journal: Path) -> None:
    """Every command gives its recorded events again, or the replay says where it does not."""
    (summary,) = (await ordergate("replay", "--verify", "--json")).objects
    assert summary["events"] == summary["last_seq"] > 0
    assert len(summary["state_hash"]) == 64
    failed = await ordergate("replay", "--verify", "--journal", altered_journal)
    assert (failed.code, failed.out) == (1, "")
    assert "gave other events than the journal has" in failed.err
    empty = await ordergate("replay", "--verify", "--journal", system.settings.home / "keys")
    assert empty.code == 1
