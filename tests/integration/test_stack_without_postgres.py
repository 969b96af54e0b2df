"""PostgreSQL is away: orders go on, the audit log lags and says so, and nothing is missing in it afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from ordergate.matching.v1 import events_pb2 as events
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client, DevKeyTokens
from compliance.verify import InclusionProof, verify_entry
from matching.journal.segments import checked, segments_of
from matching.recovery import verify
from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack
from tests.integration.test_stack_gateways import order

ORDERS = 50


@pytest_asyncio.fixture
async def system(tmp_path: Path) -> AsyncIterator[Stack]:
    """A system of the test's own, in which nothing starts again by itself."""
    async with stack(isolated(tmp_path / "home")) as running:
        yield running


def client_of(system: Stack, role: str, *accounts: str) -> Client:
    """A client with a role."""
    tokens = DevKeyTokens.from_settings(system.settings, subject=role, roles=[role], accounts=accounts)
    return Client([system.settings.gateway_address], compliance=system.settings.compliance_address, token=tokens)


async def placed(client: Client) -> list[orders.ExecutionReport]:
    """Orders by calls and on a session, all of them accepted."""
    reports = [await client.submit(order(f"call-{number}")) for number in range(ORDERS)]
    async with client.session(["DEMO"], cancel_on_disconnect=False) as session:
        for number in range(ORDERS):
            answer = await session.ask(entry.SessionCommand(submit=order(f"session-{number}")))
            assert isinstance(answer, orders.ExecutionReport)
            reports.append(answer)
    assert {report.ord_status for report in reports} == {types.ORD_STATUS_NEW}
    return reports


async def readiness(system: Stack) -> dict[str, Any]:
    """What the system says of itself; that it takes orders, or this fails."""
    async with httpx.AsyncClient(base_url=system.rest_url) as client:
        answer = (await client.get("/health/ready")).raise_for_status().json()
    return {"whole": answer["status"]} | {one["name"]: one["status"] for one in answer["components"]}


async def audit_trail(system: Stack) -> tuple[int, str]:
    """How a question for what was logged is answered: the HTTP status and the reason."""
    headers = {"Authorization": f"Bearer {system.token('auditor', accounts=())}"}
    async with httpx.AsyncClient(base_url=system.rest_url) as client:
        answer = await client.get("/api/v1/compliance/audit-trail", headers=headers)
    return answer.status_code, answer.json()["details"][0]["reason"]


async def metric(system: Stack, name: str) -> float:
    """A metric of compliance."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{system.settings.compliance_metrics_port}/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_orders_go_on_while_postgresql_is_away(system: Stack) -> None:
    """Every order is accepted; health, the lag and the log itself tell of it; when it is back each event is in the log
    once, byte for byte (I6), and an order of that time can be proved."""
    async with client_of(system, "trader", "DEMO") as trader:
        await system.kill("postgres")
        reports = await placed(trader)
        while (told := await readiness(system))["compliance"] != "COMPONENT_STATUS_DOWN":
            pass
        assert (told["whole"], told["matching"]) == ("COMPONENT_STATUS_DEGRADED", "COMPONENT_STATUS_UP")
        while await metric(system, "ordergate_audit_lag_events") < 2 * ORDERS:
            pass
        assert await audit_trail(system) == (503, "STORE_UNAVAILABLE")
        await system.restart("postgres")
        await system.wait_healthy()
        reports.append(await trader.submit(order("afterwards")))
    last_seq = max(report.seq for report in reports)
    while await metric(system, "ordergate_audit_log_entries") < last_seq:
        pass
    assert await metric(system, "ordergate_audit_lag_events") == 0
    await system.kill("matching")
    assert verify(system.settings.journal_dir).last_seq >= last_seq
    await proved(system, reports[ORDERS])
    assert await logged(system) == journaled(system)


def journaled(system: Stack) -> list[bytes]:
    """Every event of the journal."""
    frames = [frame for segment in checked(segments_of(system.settings.journal_dir)) for frame in segment.frames]
    entries = [entry for frame in frames for entry in events.JournalBatch.FromString(frame.payload).entries]
    return [event for entry in entries for event in entry.events]


async def logged(system: Stack) -> list[bytes]:
    """Every leaf of the audit log."""
    leaves: list[bytes] = []
    async with client_of(system, "auditor") as auditor:
        size = round(await metric(system, "ordergate_audit_log_entries"))
        while (await auditor.checkpoint()).checkpoint.tree_size < size:
            pass
        async for part in auditor.audit_leaves(0, size):
            leaves += part.entries
    return leaves


async def proved(system: Stack, report: orders.ExecutionReport) -> None:
    """The leaf of a report is in a tree that the log has signed, and is that report's event."""
    async with client_of(system, "auditor") as auditor:
        while (checkpoint := await auditor.checkpoint()).checkpoint.tree_size <= report.audit_index:
            pass
        key = checkpoint.verifier_key
        proof = await auditor.inclusion_proof(report.audit_index)
        async for leaves in auditor.audit_leaves(report.audit_index, report.audit_index + 1):
            (leaf,) = leaves.entries
    given = InclusionProof(proof.leaf_index, proof.leaf_hash, tuple(proof.hashes))
    assert verify_entry(leaf, given, proof.checkpoint.note, key).ok
    assert events.Event.FromString(leaf).order.cl_ord_id == report.cl_ord_id
