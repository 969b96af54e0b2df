"""Ten thousand retries while servers are killed: one execution each, and every answer is the original one."""

import asyncio

from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client, OrdergateError
from tests.integration.faults.servers import ACCOUNTS, SYMBOLS, Servers
from tests.integration.faults.truth import Truth

CLIENTS = 50
RETRIES = 10_000
ORDERS = 4
"""Of each client; all of its retries repeat these."""


def terms(number: int, place: int) -> orders.OrderTerms:
    """An order of one of the clients; some trade with those of others, some are denied."""
    is_denied = place == ORDERS - 1 and number % 5 == 0
    return orders.OrderTerms(
        account=ACCOUNTS[number % len(ACCOUNTS)],
        cl_ord_id=f"retry-{number}-{place}",
        symbol=SYMBOLS[place % len(SYMBOLS)],
        side=types.SIDE_BUY if number % 2 else types.SIDE_SELL,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        qty="100000000" if is_denied else str(1 + number % 7),
        price="100.00",
    )


def content(answer: orders.ExecutionReport | OrdergateError) -> str:
    """What must be the same in every answer to one request."""
    if isinstance(answer, OrdergateError):
        numbers = answer.metadata | {"poss_dup": ""}
        return f"{answer.reason} {sorted(numbers.items())}"
    same = orders.ExecutionReport()
    same.CopyFrom(answer)
    for field in ("durable_unix_ns", "sent_unix_ns", "poss_dup", "epoch"):
        same.ClearField(field)
    return str(same)


async def ask(client: Client, order: orders.OrderTerms) -> str:
    """Places an order once more; what became of it."""
    try:
        return content(await client.submit(order))
    except OrdergateError as refused:
        return content(refused)


class Retries:
    """What the clients have asked and heard."""

    def __init__(self) -> None:
        self.answers: dict[str, set[str]] = {}
        self.done = 0

    async def client(self, venue: Servers, number: int) -> None:
        """One client: its orders, and then the same again and again, by one gateway and the other."""
        async with venue.client(ACCOUNTS[number % len(ACCOUNTS)]) as client:
            for turn in range(ORDERS + RETRIES // CLIENTS):
                order = terms(number, turn % ORDERS)
                self.answers.setdefault(order.cl_ord_id, set()).add(await ask(client, order))
                self.done += 1

    async def reached(self, part: float) -> None:
        """Waits until so much of it is done."""
        while self.done < part * (RETRIES + ORDERS * CLIENTS):
            await asyncio.sleep(0.01)


def executed_once(truth: Truth, key: str, account: str) -> bool:
    """Whether a key stands for exactly one order or refusal in the journal."""
    return len(truth.commands_of(account, key, types.REQUEST_KIND_SUBMIT)) == 1


async def test_ten_thousand_retries_execute_once(pair: Servers) -> None:
    """50 clients retry over SIGKILLs of both servers; one execution each, every answer the original one (I1, I2)."""
    retries = Retries()
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(retries.client(pair, number))
        for part, name in ((0.1, "matching"), (0.3, "gateway-0"), (0.5, "matching"), (0.7, "gateway-1")):
            await retries.reached(part)
            await pair.kill(name)
            await pair.start(name)
    assert retries.done == RETRIES + ORDERS * CLIENTS
    different = {key: told for key, told in retries.answers.items() if len(told) != 1}
    assert not different, different
    truth = await pair.truth()
    keys = [
        (f"retry-{number}-{place}", ACCOUNTS[number % len(ACCOUNTS)]) for number in range(CLIENTS) for place in range(4)
    ]
    assert [key for key, account in keys if not executed_once(truth, key, account)] == []
