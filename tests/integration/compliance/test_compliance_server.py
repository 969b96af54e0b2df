"""The compliance server as people reach it, over the real matching server and a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.compliance.v1 import audit_pb2_grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from compliance import server as compliance_server
from compliance.errors import LogCorrupt
from compliance.verify import Finding, InclusionProof, LogVerifier, verify_entry, verify_growth, verify_receipt
from matching import server as matching_server
from runtime import tokens
from runtime.channels import client_channel
from runtime.clock import unix_ns
from runtime.serve import Running, running
from runtime.settings import Settings

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
AUDITOR = "auditor"


class Venue:
    """A real matching server and the real compliance server that follows it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = settings.auth_dev_key_file.read_bytes()
        self._compliance = AsyncExitStack()
        self._numbers = iter(range(1, 10**6))
        self.server: Running
        self.health: Any

    async def start_compliance(self) -> None:
        """Starts compliance and opens a channel to it."""
        self.server = await self._compliance.enter_async_context(
            running("compliance", compliance_server.parts, self.settings)
        )
        channel = await self._compliance.enter_async_context(client_channel(f"127.0.0.1:{self.server.port}"))
        self.stub = audit_pb2_grpc.AuditServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    async def stop_compliance(self) -> None:
        """Ends compliance in order."""
        await self._compliance.aclose()

    def as_role(self, *roles: str) -> tuple[tuple[str, str], ...]:
        """Call metadata of somebody with the roles; a trader is bound to the account DEMO."""
        token = tokens.issue(
            self.key,
            kid=tokens.DEV_KID,
            subject="somebody",
            roles=roles,
            accounts=["DEMO"] if "trader" in roles else [],
            ttl_s=600,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )
        return (("authorization", f"Bearer {token}"),)

    async def carry_out(self, *orders: commands.Command) -> list[bytes]:
        """Has commands carried out; gives the bytes of all their events as the venue gave them."""
        metadata = tokens.service_metadata(self.settings, "gateway-test")
        wanted = len(orders)
        given: list[bytes] = []
        async with client_channel(self.settings.matching_address) as channel:
            call = matching_pb2_grpc.MatchingServiceStub(channel).Link(metadata=metadata)
            await call.write(
                matching.LinkRequest(logon=matching.LinkLogon(gateway_id="gateway-test", incarnation=unix_ns()))
            )
            frame = matching.LinkFrame(first_correlation=1, commands=[one.SerializeToString() for one in orders])
            await call.write(matching.LinkRequest(frame=frame))
            async for response in call:
                for batch in (response.batch, *response.further):
                    given.extend(batch.events)
                    wanted -= len(batch.correlations)
                if not wanted:
                    break
            call.cancel()
        return given

    def limit(self, side: int, price_ticks: int, lots: int, account: str = "") -> commands.Command:
        """A limit order of DEMO, or of MM where it sells."""
        order = commands.NewOrder(
            account=account or ("DEMO" if side == BUY else "MM"),
            cl_ord_id=f"order-{next(self._numbers)}",
            symbol="AAPL",
            side=types.Side.ValueType(side),
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty_lots=lots,
            price_ticks=price_ticks,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        )
        return commands.Command(actor="somebody", gateway_id="gateway-test", new_order=order)

    async def checkpoint(self, size: int = 1) -> audit.GetCheckpointResponse:
        """The newest checkpoint, once it covers `size` leaves."""
        while True:
            try:
                got: audit.GetCheckpointResponse = await self.stub.GetCheckpoint(
                    audit.GetCheckpointRequest(), metadata=self.as_role(AUDITOR)
                )
            except grpc.aio.AioRpcError as error:
                if reason_of(error) != (grpc.StatusCode.NOT_FOUND, "NOT_IN_LOG"):
                    raise
                continue
            if got.checkpoint.tree_size >= size:
                return got

    async def entries(self, begin: int = 0, end: int = 0) -> list[bytes]:
        """The raw entries of a range, as the stream gives them."""
        request = audit.StreamAuditEntriesRequest(from_index=begin, to_index=end)
        read: list[bytes] = []
        complete = False
        async for message in self.stub.StreamAuditEntries(request, metadata=self.as_role(AUDITOR)):
            assert not complete
            assert message.first_index == begin + len(read)
            read.extend(message.entries)
            complete = message.complete
        assert complete
        return read

    async def listed(self, *roles: str, **filters: Any) -> audit.ListAuditEntriesResponse:
        """A page of the trail."""
        request = audit.ListAuditEntriesRequest(**filters)
        page: audit.ListAuditEntriesResponse = await self.stub.ListAuditEntries(
            request, metadata=self.as_role(*(roles or (AUDITOR,)))
        )
        return page


@pytest_asyncio.fixture
async def settings(tmp_path: Path, database_url: str) -> AsyncIterator[Settings]:
    """Settings of a matching server that runs, with everything in a folder of this test's own."""
    tokens.make_keys(tmp_path / "keys")
    names = ("gateway", "matching", "marketdata", "compliance")
    ports: dict[str, Any] = {f"{name}_{kind}": 0 for name in names for kind in ("port", "metrics_port")}
    made = Settings(
        home=tmp_path,
        auth_jwks_file=tmp_path / "keys" / "jwks.json",
        auth_service_key_file=tmp_path / "keys" / "service.pem",
        auth_dev_key_file=tmp_path / "keys" / "dev.pem",
        auth_revocations_file=tmp_path / "keys" / "revocations.json",
        audit_key_file=tmp_path / "keys" / "audit.pem",
        audit_checkpoint_interval_ms=10,
        journal_segment_bytes=1 << 20,
        **ports,
    ).model_copy(update={"database_url": database_url})
    async with running("matching", matching_server.parts, made) as server:
        yield made.model_copy(update={"matching_address": f"127.0.0.1:{server.port}"})


@pytest_asyncio.fixture
async def venue(settings: Settings) -> AsyncIterator[Venue]:
    """A venue of this test's own."""
    started = Venue(settings)
    await started.start_compliance()
    try:
        yield started
    finally:
        await started.stop_compliance()


@pytest_asyncio.fixture
async def superuser(settings: Settings) -> AsyncIterator[Any]:
    """A connection that may do anything, and for which triggers do not fire."""
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("SET session_replication_role = replica")
    try:
        yield connection
    finally:
        await connection.close()


def reason_of(error: Any) -> tuple[grpc.StatusCode, str]:
    """Status code and reason of an error."""
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code(), info.reason


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Status code and reason that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return reason_of(refused.value)


async def test_what_the_venue_said_is_what_the_log_proves(venue: Venue) -> None:
    """The bytes that a gateway got are the entry of the leaf at seq - 1, proved by RPC and by one file offline."""
    given = await venue.carry_out(venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3))
    last_seq = events.Event.FromString(given[-1]).seq
    checkpoint = await venue.checkpoint(last_seq)
    for event in given:
        index = events.Event.FromString(event).seq - 1
        request = audit.GetInclusionProofRequest(leaf_index=index)
        response = await venue.stub.GetInclusionProof(request, metadata=venue.as_role("trader"))
        proof = InclusionProof(index, response.leaf_hash, response.hashes)
        assert verify_entry(event, proof, response.checkpoint.note, checkpoint.verifier_key).ok
        assert verify_receipt(response.proof_note, event, checkpoint.verifier_key).ok


async def test_the_whole_log_is_verified_from_outside(venue: Venue) -> None:
    """All entries, streamed, lead to the signed root; an older checkpoint is proved to be a prefix."""
    await venue.carry_out(*(venue.limit(BUY, 18000 + number, 1) for number in range(300)))
    earlier = await venue.checkpoint(300)
    given = await venue.carry_out(*(venue.limit(BUY, 17000 + number, 1) for number in range(1500)))
    later = await venue.checkpoint(events.Event.FromString(given[-1]).seq)
    entries = await venue.entries()
    verifier = LogVerifier()
    verifier.add(entries)
    assert verifier.check(later.checkpoint.note, later.verifier_key).ok
    assert verifier.check(earlier.checkpoint.note, later.verifier_key).ok
    assert entries[-len(given) :] == given
    request = audit.GetConsistencyProofRequest(
        from_size=earlier.checkpoint.tree_size, to_size=later.checkpoint.tree_size
    )
    growth = await venue.stub.GetConsistencyProof(request, metadata=venue.as_role("trader"))
    assert (growth.from_root_hash, growth.to_root_hash) == (
        earlier.checkpoint.root_hash,
        later.checkpoint.root_hash,
    )
    assert verify_growth(earlier.checkpoint.note, later.checkpoint.note, growth.hashes, later.verifier_key).ok
    assert (await venue.entries(1000, 1300)) == entries[1000:1300]


async def test_an_edited_entry_is_found_through_the_server(venue: Venue, superuser: Any) -> None:
    """Somebody edits a stored entry past the triggers: streamed entries and proofs name its index."""
    await venue.carry_out(*(venue.limit(BUY, 18000 + number, 1) for number in range(300)))
    checkpoint = await venue.checkpoint(300)
    size, key = checkpoint.checkpoint.tree_size, checkpoint.verifier_key
    await superuser.execute("UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = 123")
    verifier = LogVerifier()
    verifier.add(await venue.entries(0, size))
    verdict = verifier.check(checkpoint.checkpoint.note, key)
    while verdict.ask_for is not None:
        request = audit.GetInclusionProofRequest(leaf_index=verdict.ask_for, tree_size=size)
        response = await venue.stub.GetInclusionProof(request, metadata=venue.as_role(AUDITOR))
        proof = InclusionProof(response.leaf_index, response.leaf_hash, response.hashes)
        verdict = verifier.narrow(verdict, proof)
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, 123)


async def test_a_deleted_entry_ends_the_stream_with_its_index(venue: Venue, superuser: Any) -> None:
    """The server does not pass a hole over."""
    await venue.carry_out(*(venue.limit(BUY, 18000 + number, 1) for number in range(300)))
    size = (await venue.checkpoint(300)).checkpoint.tree_size
    await superuser.execute("DELETE FROM audit.leaves WHERE leaf_index = 123")
    with pytest.raises(grpc.aio.AioRpcError, match="leaf 123 is missing") as failed:
        await venue.entries(0, size)
    assert failed.value.code() == grpc.StatusCode.INTERNAL


async def test_the_trail_shows_an_order_s_life(venue: Venue) -> None:
    """Filters, words, times and pages; a page token goes on where the page ended."""
    given = await venue.carry_out(venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3))
    parsed = [events.Event.FromString(event) for event in given]
    await venue.checkpoint(parsed[-1].seq)
    order_id = next(event.order.order_id for event in parsed if event.order.account == "DEMO")
    life = (await venue.listed(order_id=str(order_id))).entries
    assert [entry.event_type for entry in life] == ["ORDER_TRADE", "ORDER_NEW"]
    assert {(entry.account, entry.symbol, entry.order_id) for entry in life} == {("DEMO", "AAPL", str(order_id))}
    assert [entry.entry for entry in reversed(life)] == [
        event for event, one in zip(given, parsed, strict=True) if one.order.order_id == order_id
    ]
    assert life[-1].actor == "somebody"
    assert life[-1].event_time.ToNanoseconds() == next(
        one.time_unix_ns for one in parsed if one.order.order_id == order_id
    )
    everything = await venue.listed(page_size=1000)
    pages: list[int] = []
    token = ""
    while True:
        page = await venue.listed(page_size=7, page_token=token)
        pages += [entry.leaf_index for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert pages == [entry.leaf_index for entry in everything.entries] == list(range(everything.tree_size))[::-1]
    from_time = Timestamp()
    from_time.FromNanoseconds(parsed[0].time_unix_ns)
    since = await venue.listed(from_time=from_time)
    assert [entry.entry for entry in reversed(since.entries)] == given


async def test_a_trader_sees_only_his_account(venue: Venue) -> None:
    """Without an account a trader gets his own; another one is refused; who oversees sees all."""
    await venue.carry_out(venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3))
    await venue.checkpoint(1)
    own = await venue.listed("trader")
    assert {entry.account for entry in own.entries} == {"DEMO"}
    request = audit.ListAuditEntriesRequest(account="MM")
    refused = await refusal(venue.stub.ListAuditEntries(request, metadata=venue.as_role("trader")))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "ACCOUNT_NOT_ALLOWED")
    assert {"DEMO", "MM"} <= {entry.account for entry in (await venue.listed(AUDITOR, page_size=1000)).entries}
    stream = venue.stub.StreamAuditEntries(audit.StreamAuditEntriesRequest(), metadata=venue.as_role("trader"))
    assert await refusal(anext(stream.__aiter__())) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("method", "message", "code", "reason"),
    [
        ("GetInclusionProof", audit.GetInclusionProofRequest(leaf_index=10**6), "NOT_FOUND", "NOT_IN_LOG"),
        ("GetInclusionProof", audit.GetInclusionProofRequest(tree_size=10**6), "NOT_FOUND", "NOT_IN_LOG"),
        ("GetInclusionProof", audit.GetInclusionProofRequest(leaf_index=2**64 - 1), "NOT_FOUND", "NOT_IN_LOG"),
        ("GetCheckpoint", audit.GetCheckpointRequest(tree_size=2**64 - 1), "NOT_FOUND", "NOT_IN_LOG"),
        ("GetConsistencyProof", audit.GetConsistencyProofRequest(to_size=10**6), "NOT_FOUND", "NOT_IN_LOG"),
        (
            "GetConsistencyProof",
            audit.GetConsistencyProofRequest(from_size=3, to_size=2),
            "INVALID_ARGUMENT",
            "FIELDS_CONFLICT",
        ),
        ("ListAuditEntries", audit.ListAuditEntriesRequest(page_token="x"), "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
        ("ListAuditEntries", audit.ListAuditEntriesRequest(page_size=1001), "INVALID_ARGUMENT", "FIELD_INVALID"),
    ],
)
async def test_what_is_not_there_is_refused(venue: Venue, method: str, message: Any, code: str, reason: str) -> None:
    """Leaves, sizes and tokens that are not there end with their reasons."""
    await venue.checkpoint(1)
    call = getattr(venue.stub, method)(message, metadata=venue.as_role(AUDITOR))
    assert await refusal(call) == (grpc.StatusCode[code], reason)


async def test_a_stream_beyond_the_log_is_refused(venue: Venue) -> None:
    """A range that ends beyond the log, or before it begins, is refused; an empty one is complete at once."""
    size = (await venue.checkpoint(1)).checkpoint.tree_size
    auditor = venue.as_role(AUDITOR)
    beyond = venue.stub.StreamAuditEntries(audit.StreamAuditEntriesRequest(to_index=10**6), metadata=auditor)
    assert await refusal(anext(beyond.__aiter__())) == (grpc.StatusCode.NOT_FOUND, "NOT_IN_LOG")
    request = audit.StreamAuditEntriesRequest(from_index=2, to_index=1)
    backwards = venue.stub.StreamAuditEntries(request, metadata=auditor)
    assert await refusal(anext(backwards.__aiter__())) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELDS_CONFLICT")
    assert await venue.entries(size, size) == []


async def test_a_restart_loses_and_repeats_nothing(venue: Venue) -> None:
    """Events that came while compliance was down are in the log, each once; the old checkpoint still holds."""
    await venue.carry_out(venue.limit(SELL, 19010, 7))
    before = await venue.checkpoint(1)
    await venue.stop_compliance()
    given = await venue.carry_out(venue.limit(BUY, 19010, 3), venue.limit(BUY, 19000, 2))
    await venue.start_compliance()
    after = await venue.checkpoint(events.Event.FromString(given[-1]).seq)
    entries = await venue.entries()
    assert entries[-len(given) :] == given
    assert [events.Event.FromString(entry).seq for entry in entries] == list(range(1, len(entries) + 1))
    verifier = LogVerifier()
    verifier.add(entries)
    assert verifier.check(before.checkpoint.note, after.verifier_key).ok
    assert verifier.check(after.checkpoint.note, after.verifier_key).ok


async def test_a_log_that_was_changed_does_not_start(venue: Venue, superuser: Any) -> None:
    """Entries differ from what was signed: the server refuses to start and says so."""
    await venue.checkpoint(1)
    await venue.stop_compliance()
    newest = await superuser.fetchval("SELECT max(leaf_index) FROM audit.leaves")
    await superuser.execute("UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = $1", newest)
    with pytest.raises(LogCorrupt, match="the stored log was changed"):
        await venue.start_compliance()


async def test_without_a_key_or_a_database_there_is_no_server(settings: Settings, tmp_path: Path) -> None:
    """The message names what is missing."""
    for update, message in (
        ({"audit_key_file": tmp_path / "none.pem"}, "none.pem"),
        ({"audit_key_file": settings.auth_jwks_file}, "jwks.json"),
        ({"database_url": None}, "DATABASE_URL"),
    ):
        with pytest.raises(ValueError, match=message):
            async with running("compliance", compliance_server.parts, settings.model_copy(update=update)):
                pass


async def test_without_its_database_the_server_lives_and_says_so(settings: Settings, tmp_path: Path) -> None:
    """Health is NOT_SERVING, calls end with STORE_UNAVAILABLE and may be repeated."""
    away = settings.model_copy(update={"database_url": f"postgresql://postgres@/none?host={tmp_path}"})
    venue = Venue(away)
    await venue.start_compliance()
    try:
        health = await venue.health.Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
        call = venue.stub.GetCheckpoint(audit.GetCheckpointRequest(), metadata=venue.as_role(AUDITOR))
        assert await refusal(call) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    finally:
        await venue.stop_compliance()


async def test_metrics_tell_the_size_and_the_lag(venue: Venue) -> None:
    """What operators watch: entries, what is signed of them, and how far the log is behind."""
    given = await venue.carry_out(venue.limit(SELL, 19010, 7))
    last_seq = events.Event.FromString(given[-1]).seq
    await venue.checkpoint(last_seq)
    async with httpx.AsyncClient() as client:
        while True:
            text = (await client.get(f"http://127.0.0.1:{venue.server.metrics_port}/metrics")).text
            values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("ordergate_audit"))
            if float(values["ordergate_audit_checkpoint_entries"]) == last_seq:
                break
    assert float(values["ordergate_audit_log_entries"]) == last_seq
    assert float(values["ordergate_audit_lag_events"]) == 0
    assert float(values["ordergate_audit_checkpoint_age_seconds"]) >= 0
    assert float(values["ordergate_audit_append_seconds_count"]) > 0


async def test_many_readers_and_a_busy_log(venue: Venue) -> None:
    """Proofs asked for while entries come in are all good against the checkpoint that they carry."""
    key = (await venue.checkpoint(1)).verifier_key

    async def ask(times: int) -> None:
        for index in range(times):
            request = audit.GetInclusionProofRequest(leaf_index=index)
            response = await venue.stub.GetInclusionProof(request, metadata=venue.as_role(AUDITOR))
            proof = InclusionProof(index, response.leaf_hash, response.hashes)
            [entry] = await venue.entries(index, index + 1)
            assert verify_entry(entry, proof, response.checkpoint.note, key).ok

    async def trade() -> None:
        for number in range(10):
            await venue.carry_out(*(venue.limit(BUY, 15000 + number, 1) for _ in range(60)))

    async with asyncio.TaskGroup() as group:
        group.create_task(trade())
        for _ in range(4):
            group.create_task(ask(10))
