"""The rows of the failure table that are about gateway and matching, each as a test with what must hold after it.

Other rows: power loss in `tests/simulation/test_journal_crashes.py`, disk full in `test_matching_disk_full.py`, a
second matching server in `test_matching_server.py`, PostgreSQL in `test_stack_postgres.py`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client, Patience
from clients.sdk.errors import NotFound, Unavailable
from tests.integration.faults.network import Network
from tests.integration.faults.servers import ACCOUNTS, PATIENT, Servers, servers
from tests.integration.gateway.valkey import store

ACCOUNT, OTHER = ACCOUNTS[:2]
HASTY = Patience(call_s=0.5, retry_s=0.0)
DEFINITE_S = 5.0
MARGIN = 3
"""This machine is shared; the promise is not."""
HOUR_BACK = """
import time
now = time.time_ns
time.time_ns = lambda: now() - 3_600_000_000_000
"""


def far(account: str = ACCOUNT, **changes: str) -> orders.OrderTerms:
    """An order that rests far from the market."""
    return orders.OrderTerms(
        account=account,
        cl_ord_id=changes.get("cl_ord_id", uuid4().hex),
        symbol="AAPL",
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        qty=changes.get("qty", "5"),
        price=changes.get("price", "1.00"),
    )


async def definite(client: Client, key: str) -> orders.Order | None:
    """Asks until the answer is definite; None for "there is no such order"."""
    while True:
        try:
            return await client.get_order(ACCOUNT, cl_ord_id=key)
        except NotFound:
            return None
        except Unavailable:
            continue


@asynccontextmanager
async def unknown(pair: Servers, client: Client, *, executed: bool) -> AsyncIterator[str]:
    """The key of a request whose answer never came: lost on its way back, or on its way there."""
    way = pair.matching_networks[0].back if executed else pair.matching_networks[0].there
    way.swallows = True
    key = uuid4().hex
    with pytest.raises(Unavailable):
        await client.submit(far(cl_ord_id=key))
    yield key
    pair.matching_networks[0].heals()


@pytest.mark.parametrize("executed", [True, False])
async def test_a_lookup_is_definite_soon_after_recovery(pair: Servers, *, executed: bool) -> None:
    """Both servers are killed with an order's outcome unknown; once they are healthy GetOrder knows it, and the same
    request then gives that very outcome (I7, I2)."""
    async with (
        pair.client(ACCOUNT, gateways=[0], patience=HASTY) as hasty,
        pair.client(ACCOUNT, gateways=[1]) as client,
    ):
        async with unknown(pair, hasty, executed=executed) as key:
            while executed and await definite(client, key) is None:
                pass
            await pair.kill("gateway-0")
            await pair.kill("matching")
            await pair.matching_networks[0].cut()
        await pair.start("matching")
        await asyncio.gather(pair.start("gateway-0"), pair.ready("gateway-1"))
        async with asyncio.timeout(MARGIN * DEFINITE_S):
            found = await definite(client, key)
        assert (found is not None) == executed
        report = await client.submit(far(cl_ord_id=key))
        assert report.poss_dup == executed
        again = await definite(client, key)
        assert again is not None
        assert again.order_id == report.order_id == (found.order_id if found is not None else again.order_id)


async def test_a_gateway_dies(pair: Servers) -> None:
    """A client goes on by another one, unknowns are resolved there, and cancel-on-disconnect fires for those who
    wanted it, and for nobody else."""
    async with pair.client(ACCOUNT, gateways=[0, 1]) as client, pair.client(ACCOUNT, gateways=[1]) as witness:
        async with (
            client.session([ACCOUNT], cancel_on_disconnect=True, heartbeat_interval_s=1) as careful,
            client.session([ACCOUNT], cancel_on_disconnect=False, heartbeat_interval_s=1) as lasting,
        ):
            guarded = await careful.submit(far(price="1.01"))
            kept = await lasting.submit(far(price="1.02"))
            async with aclosing(witness.reports(ACCOUNT, resume_after=kept.seq)) as reports:
                await pair.kill("gateway-0")
                ended = await anext(reports)
            assert (ended.order_id, ended.exec_type) == (guarded.order_id, types.EXEC_TYPE_CANCELED)
            assert ended.cause == types.CAUSE_DISCONNECT
            after = await lasting.submit(far(price="1.03"))
            assert (await careful.submit(far(price="1.04"))).seq > after.seq
        order = await witness.get_order(ACCOUNT, cl_ord_id=kept.cl_ord_id)
        assert order.ord_status == types.ORD_STATUS_NEW


async def test_matching_dies(pair: Servers) -> None:
    """UNAVAILABLE while it is gone, then the same state to the last digit, nothing acknowledged lost, and the epoch
    grown (I1, I3, I4)."""
    async with pair.client() as client, pair.client(patience=HASTY) as hasty:
        placed = [await client.submit(far(account)) for account in ACCOUNTS for _ in range(5)]
        await client.submit_many(far(ACCOUNT, price=f"{cents / 100:.2f}") for cents in range(100, 150))
        before = [await client.snapshot(account) for account in ACCOUNTS]
        await pair.kill("matching")
        with pytest.raises(Unavailable):
            await hasty.submit(far())
        await pair.start("matching")
        after = [await client.snapshot(account) for account in ACCOUNTS]
    assert {snapshot.epoch for snapshot in after} == {before[0].epoch + 1}
    for snapshot in (*before, *after):
        snapshot.ClearField("epoch")
        snapshot.ClearField("as_of_seq")
    assert after == before
    orders_after = {order.order_id for snapshot in after for order in snapshot.open_orders}
    assert {report.order_id for report in placed} <= orders_after


async def test_redis_dies(tmp_path: Path) -> None:
    """Limits fall back to those of each gateway; orders go on as if nothing had happened, and no request is lost."""
    async with (
        store(tmp_path) as valkey,
        servers(tmp_path, redis_url=valkey.url) as venue,
        venue.client(ACCOUNT) as client,
    ):
        await budgets_are_shared(client, shared=True)
        await valkey.kill()
        placed = [await client.submit(far()) for _ in range(20)]
        await budgets_are_shared(client, shared=False)
        found = [await client.get_order(ACCOUNT, order_id=one.order_id) for one in placed]
    assert [order.last_seq for order in found] == [report.seq for report in placed]


async def budgets_are_shared(client: Client, *, shared: bool) -> None:
    """Waits until the account's orders are counted by all gateways together, or by each alone."""
    while (await client.rate_budget(ACCOUNT)).budgets[0].shared != shared:
        await client.submit(far())


async def test_a_subscriber_falls_silent(tmp_path: Path) -> None:
    """It is cut while nobody else waits for it, and afterwards goes on where it stood: each report once (I9)."""
    async with servers(tmp_path, slow_reader_s=0.5, heartbeat_interval_s=1.0) as venue:
        address = venue.gateway_settings[0].gateway_address
        async with (
            venue.client(ACCOUNT) as reader,
            venue.client(ACCOUNT, addresses=[address]) as trader,
            aclosing(reader.reports(ACCOUNT, resume_after=0)) as reports,
        ):
            placed = [(await trader.submit(far())).seq]
            heard = [(await anext(reports)).seq]
            venue.gateway_networks[0].back.holds()
            while not await venue.metric(0, "ordergate_gateway_readers_cut_total"):
                results = await trader.submit_many(far(price=f"{cents / 100:.2f}") for cents in range(100, 200))
                placed += [result.report.seq for result in results if result.report is not None]
            venue.gateway_networks[0].heals()
            while len(heard) < len(placed):
                heard.append((await anext(reports)).seq)
    assert heard == placed


async def test_the_clock_steps_back(pair: Servers) -> None:
    """Matching comes back on a machine whose clock is an hour behind: engine time goes on, and so do orders (I10)."""
    async with pair.client(ACCOUNT) as client:
        before = [await client.submit(far()) for _ in range(3)]
        await pair.kill("matching")
        await pair.start("matching", before=HOUR_BACK)
        after = [await client.submit(far()) for _ in range(3)]
    times = [report.sequenced_unix_ns for report in (*before, *after)]
    assert times == sorted(set(times))
    assert after[0].durable_unix_ns < time.time_ns() - 3_000_000_000_000, "its clock is behind indeed"
    truth = await pair.truth()
    recorded = [event.time_unix_ns for event in truth.events.values()]
    assert recorded == sorted(recorded)


async def test_a_client_moves_before_its_gateway_stops(pair: Servers) -> None:
    """SIGTERM: who knows another gateway goes there at the first notice, and everything is answered once."""
    async with (
        pair.client(ACCOUNT, gateways=[0, 1]) as client,
        client.session([ACCOUNT], cancel_on_disconnect=False, heartbeat_interval_s=1) as session,
        asyncio.TaskGroup() as group,
    ):
        sent = [group.create_task(session.submit(far())) for _ in range(50)]
        stopping = group.create_task(pair.stop("gateway-0"))
        while session.reconnects == 0:
            sent.append(group.create_task(session.submit(far())))
            await sent[-1]
        await stopping
        seqs = [(await one).seq for one in sent]
    assert len(set(seqs)) == len(sent)
    truth = await pair.truth()
    accepted = [seq for seq in truth.by_account[ACCOUNT] if truth.events[seq].order.exec_type == types.EXEC_TYPE_NEW]
    assert accepted == sorted(seqs)


def way_of(pair: Servers, way: str) -> Network:
    """The network of clients to the first gateway, or of that gateway to matching."""
    return (pair.gateway_networks if way == "client" else pair.matching_networks)[0]


@pytest.mark.parametrize("way", ["client", "link"])
async def test_what_was_said_is_said_again(pair: Servers, way: str) -> None:
    """A duplicate of a whole connection, mass cancel and all, changes nothing, and whoever spoke on it goes on; a
    link's logs on once more as the same run of its gateway, which takes its place back (I2)."""
    network = way_of(pair, way)
    async with (
        pair.client(ACCOUNT, gateways=[0]) as client,
        client.session([ACCOUNT], cancel_on_disconnect=False, heartbeat_interval_s=1) as session,
    ):
        for trader in (client, session):
            await trader.submit(far())
        canceled = await client.mass_cancel(ACCOUNT, symbol="AAPL", cl_ord_id="all")
        kept = [(await trader.submit(far())).order_id for trader in (client, session)]
        carried_out = await pair.metric("matching", "ordergate_matching_commands_total")
        if way == "link":
            network.there.holds()  # else the gateway takes its place back before its duplicate is through
        assert network.duplicates() == 1
        while await pair.metric("matching", "ordergate_matching_commands_total") < carried_out + 6:
            pass  # the beginning of the session, four orders and the mass cancel
        network.there.passes()
        kept += [(await trader.submit(far())).order_id for trader in (client, session)]
        snapshot = await client.snapshot(ACCOUNT)
    assert ("another process has this gateway's name" in pair.log("gateway-0")) == (way == "link")
    assert canceled.canceled_orders == 2
    assert sorted(order.order_id for order in snapshot.open_orders) == sorted(kept)
    truth = await pair.truth()
    assert [len(seqs) for seqs in truth.by_command.values()] == [1] * 7


@pytest.mark.parametrize("way", ["client", "link"])
async def test_a_duplicate_comes_first(pair: Servers, way: str) -> None:
    """What is held up is carried out by its duplicate, once; when it arrives itself, its caller gets that answer."""
    network = way_of(pair, way)
    async with (
        pair.client(ACCOUNT, gateways=[0]) as client,
        pair.client(ACCOUNT, gateways=[1]) as witness,
        aclosing(witness.reports(ACCOUNT, resume_after=0)) as reports,
    ):
        first = await client.submit(far())
        assert (await anext(reports)).seq == first.seq
        network.there.holds()
        asked = asyncio.create_task(client.submit(far()))
        heard = asyncio.ensure_future(anext(reports))
        while not heard.done():
            network.duplicates()
            await asyncio.wait({heard}, timeout=0.2)
        assert not asked.done()
        network.heals()
        answer = await asked
        assert answer.poss_dup
        assert answer.seq == (await heard).seq


@pytest.mark.parametrize("way", ["client", "link"])
async def test_a_piece_is_repeated_within_a_connection(pair: Servers, way: str) -> None:
    """The peer ends the connection or ignores the repetition; nothing is carried out twice, and the caller gets the
    one answer there is (I2)."""
    network = way_of(pair, way)
    async with pair.client(ACCOUNT, gateways=[0]) as client:
        await client.submit(far())
        network.there.repeats()
        asked = asyncio.create_task(client.submit(far()))
        await network.there.struck()
        await asyncio.wait({asked}, timeout=PATIENT.call_s)
        await network.cut()
        answer = await asked
    truth = await pair.truth()
    assert sorted(seq for seqs in truth.by_command.values() for seq in seqs)[1:] == [answer.seq]
