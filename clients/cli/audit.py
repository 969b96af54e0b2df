"""Commands that read the audit log and prove it; nothing that the server says is believed without proof."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import click
from ordergate.compliance.v1 import audit_pb2 as audit

from clients.cli import journals
from clients.cli.connection import Connection, json_option, pass_connection
from clients.cli.output import clock_time, write_fields, write_json, write_table
from clients.sdk.client import Client
from clients.sdk.errors import NotAllowed, NotFound
from clients.verification import LogVerification, inclusion, verify_log
from compliance.verify import Verdict, verify_entry, verify_leaf, verify_receipt

EXIT_NOT_VERIFIED = 1
key_option = click.option(
    "--verifier-key", default="", help="The log's key as name+keyid+base64; without it the log's own word is taken."
)


@click.group("audit")
def audit_group() -> None:
    """Reads, verifies and proves the audit log."""


@audit_group.command("verify")
@key_option
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Compare with the journal in this folder, entry by entry.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Hold the log against the checkpoint in this file, if there is one, and keep the new one there.",
)
@json_option
@pass_connection
async def verify(connection: Connection, verifier_key: str, journal: Path | None, keep: Path | None) -> None:
    """Fetches every entry, hashes it again, and holds the root against the signed checkpoint."""
    kept_note = _kept(keep)
    entries = None if journal is None else journals.entries(journal)
    async with connection.client("auditor") as client:
        outcome = await verify_log(client, verifier_key=verifier_key, journal=entries, kept_note=kept_note)
    if connection.as_json:
        write_json(verification_fields(outcome))
    elif outcome.verdict.ok:
        show_verification(outcome)
    require(outcome.verdict)
    _keep(keep, outcome.note)


@audit_group.command("prove")
@click.option("--index", type=click.IntRange(0), help="Leaf index: `audit_index` of an execution report.")
@click.option("--order", "order_id", help="Every entry of the order with this venue id.")
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each proof and its entry into this folder, for `audit check`.",
)
@key_option
@json_option
@pass_connection
async def prove(
    connection: Connection, index: int | None, order_id: str | None, folder: Path | None, verifier_key: str
) -> None:
    """Fetches the proof that entries are in the log, and verifies it here."""
    if (index is None) == (order_id is None):
        raise click.UsageError("give either --index or --order")
    async with connection.client("auditor") as client:
        key = verifier_key or (await client.checkpoint()).verifier_key
        wanted = await _entries_of(client, order_id) if order_id else {index or 0: await _entry_at(client, index or 0)}
        for leaf_index, entry in wanted.items():
            proof = await client.inclusion_proof(leaf_index)
            _show_proof(connection, proof, _proved(proof, entry, key))
            _write_proof(folder, proof, entry)
    if not connection.as_json and not verifier_key:
        click.echo(f"trusted the log's own word for its key: {key}")


@audit_group.command("check")
@click.argument("proof", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("entry", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--verifier-key", required=True, help="The log's key as name+keyid+base64.")
@json_option
@click.pass_obj
def check(connection: Connection, proof: Path, entry: Path, verifier_key: str) -> None:
    """Verifies a PROOF file of an ENTRY, as `audit prove --write` makes them, without any connection."""
    verdict = verify_receipt(proof.read_text(), entry.read_bytes(), verifier_key)
    if connection.as_json:
        write_json(verdict_fields(verdict))
    elif verdict.ok:
        click.echo(f"verified: {verdict.text}")
    require(verdict)


@audit_group.command("list")
@click.option("--account", default="", envvar="ORDERGATE_ACCOUNT", help="Only this account.")
@click.option("--symbol", default="", help="Only this instrument.")
@click.option("--order", "order_id", default="", help="Only this order, by the venue's id.")
@click.option("--cl-ord-id", default="", help="Only this order, by the client's key.")
@click.option("--event-type", default="", help="Only this kind of event, such as ORDER_TRADE.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most entries to show.")
@json_option
@pass_connection
async def list_entries(connection: Connection, limit: int, **filters: Any) -> None:
    """Lists entries, newest first."""
    request = audit.ListAuditEntriesRequest(page_size=min(limit, 1000), **filters)
    async with connection.client("auditor") as client:
        found = await _first(client, request, limit)
    if connection.as_json:
        for entry in found:
            write_json(entry)
        return
    columns = ("index>", "event", "time", "account", "symbol", "order_id", "cl_ord_id", "actor", "leaf hash")
    write_table("Audit log", columns, [_row(entry) for entry in found])


def verification_fields(outcome: LogVerification) -> dict[str, Any]:
    """The outcome for programs."""
    fields = verdict_fields(outcome.verdict)
    fields |= {"verifier_key": outcome.verifier_key, "key_pinned": outcome.pinned}
    if outcome.compared is not None:
        fields["entries_equal_to_journal"] = outcome.compared
    if outcome.grown_from is not None:
        fields["grown_from_size"] = outcome.grown_from
    return fields


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs; the root in base64, as checkpoints write it."""
    fields = {
        "ok": verdict.ok,
        "finding": verdict.finding.name,
        "text": verdict.text,
        "tree_size": verdict.tree_size,
        "root_hash": b64encode(verdict.root_hash).decode(),
    }
    return fields if verdict.index is None else {**fields, "leaf_index": verdict.index}


def show_verification(outcome: LogVerification) -> None:
    """The outcome for people."""
    verdict = outcome.verdict
    trusted = "pinned" if outcome.pinned else "the log's own word; pin it with --verifier-key"
    fields: list[tuple[str, object]] = [
        ("entries", verdict.tree_size),
        ("root", b64encode(verdict.root_hash).decode()),
        ("key", f"{outcome.verifier_key} ({trusted})"),
    ]
    if outcome.compared is not None:
        fields.append(("journal", f"{outcome.compared} entries are the same, byte for byte"))
    if outcome.grown_from is not None:
        fields.append(("kept checkpoint", f"the log grew from its {outcome.grown_from} entries"))
    write_fields(f"Audit log: {verdict.text}", fields)


def require(verdict: Verdict) -> None:
    """Raises a failure unless the verdict is good."""
    if not verdict.ok:
        raise click.ClickException(f"{verdict.finding.name}: {verdict.text}")


async def _first(client: Client, request: audit.ListAuditEntriesRequest, limit: int) -> list[audit.AuditEntry]:
    found: list[audit.AuditEntry] = []
    async for entry in client.audit_entries(request):
        found.append(entry)
        if len(found) == limit:
            break
    return found


async def _entries_of(client: Client, order_id: str) -> dict[int, bytes | None]:
    request = audit.ListAuditEntriesRequest(order_id=order_id, page_size=1000)
    found: dict[int, bytes | None] = {}
    async for entry in client.audit_entries(request):
        found[entry.leaf_index] = entry.entry
    if not found:
        raise NotFound(f"the audit log has no entry of order {order_id}", reason="ORDER_UNKNOWN")
    return dict(sorted(found.items()))


async def _entry_at(client: Client, index: int) -> bytes | None:
    """The bytes of an entry; None when the token may not read them."""
    try:
        async for leaves in client.audit_leaves(index, index + 1):
            return leaves.entries[0]
    except NotAllowed:
        return None
    raise NotFound(f"the audit log has no leaf {index}", reason="NOT_IN_LOG")


def _proved(proof: audit.GetInclusionProofResponse, entry: bytes | None, key: str) -> Verdict:
    if entry is None:
        return verify_leaf(inclusion(proof), proof.checkpoint.note, key)
    return verify_entry(entry, inclusion(proof), proof.checkpoint.note, key)


def _show_proof(connection: Connection, proof: audit.GetInclusionProofResponse, verdict: Verdict) -> None:
    if connection.as_json:
        write_json({"leaf_index": proof.leaf_index, "leaf_hash": proof.leaf_hash.hex(), **verdict_fields(verdict)})
    elif verdict.ok:
        hashes = len(proof.hashes)
        click.echo(f"verified: {verdict.text}; leaf {proof.leaf_hash.hex()}, {hashes} hashes up to the signed root")
    require(verdict)


def _kept(keep: Path | None) -> str:
    """The checkpoint that was kept; empty without one."""
    return keep.read_text() if keep is not None and keep.exists() else ""


def _keep(keep: Path | None, note: str) -> None:
    if keep is not None:
        keep.write_text(note)


def _write_proof(folder: Path | None, proof: audit.GetInclusionProofResponse, entry: bytes | None) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{proof.leaf_index:012d}"
    (folder / f"{name}.tlog-proof").write_text(proof.proof_note)
    if entry is not None:
        (folder / f"{name}.entry").write_bytes(entry)


def _row(entry: audit.AuditEntry) -> tuple[object, ...]:
    return (
        entry.leaf_index,
        entry.event_type,
        clock_time(entry.event_time),
        entry.account,
        entry.symbol,
        entry.order_id,
        entry.cl_ord_id,
        entry.actor,
        f"{entry.leaf_hash.hex()[:16]}…",
    )
