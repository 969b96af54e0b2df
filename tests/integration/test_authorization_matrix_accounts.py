"""Every method that names an account against accounts that are not the caller's, over gRPC and REST."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from google.protobuf.descriptor import Descriptor
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.authorization import OTHERS, OWN, SECOND, Method, Outcome, methods
from tests.integration.test_authorization_matrix import Doors, doors, named

__all__ = ["doors"]
WITH_ACCOUNT = [method for method in methods() if method.rule.account_field]
COMMANDS = {
    "submit": entry.SessionCommand(submit=orders.OrderTerms(account=OTHERS, cl_ord_id="m-1", symbol="AAPL")),
    "replace": entry.SessionCommand(replace=entry.ReplaceOrderRequest(account=OTHERS, cl_ord_id="m-2", order_id="1")),
    "cancel": entry.SessionCommand(cancel=entry.CancelOrderRequest(account=OTHERS, cl_ord_id="m-3", order_id="1")),
    "mass_cancel": entry.SessionCommand(mass_cancel=entry.MassCancelOrdersRequest(account=OTHERS, all_orders=True)),
    "quote": entry.SessionCommand(quote=orders.QuoteTerms(account=OTHERS, quote_id="m-5", symbol="AAPL")),
}
BOUND_TO_THE_DECLARED = {
    "SubmitOrders": {"orders.account"},
    "OrderSession": {f"frame.commands.{name}.account" for name in COMMANDS},
}
"""Accounts that a request names beside the declared one, by method: its server refuses any other there."""


async def outcomes(doors: Doors, method: Method, role: str, bound: Sequence[str], *asked: str) -> list[Outcome]:
    """How the calls of a role end whose token is bound to `bound`, and which ask for `asked`."""
    header = doors.header(role, *bound) if bound else f"Bearer {doors.system.token(role, accounts=())}"
    found = [outcome async for outcome in doors.call(method, header, *asked)]
    assert found
    return found


def lacks_account(method: Method, outcome: Outcome) -> bool:
    """Whether a call was refused because it names no account."""
    # Or the message that would hold it.
    holder = method.rule.account_field.rpartition(".")[0]
    return outcome.reason == "FIELD_MISSING" and outcome.fields in ((method.rule.account_field,), (holder,))


def account_fields(message: Descriptor, within: tuple[Descriptor, ...] = ()) -> Iterator[str]:
    """The paths of all fields of a message that are called an account, however deep."""
    for one in message.fields:
        if one.name in ("account", "accounts"):
            yield one.name
        if one.message_type is not None and one.message_type not in within:
            inner = account_fields(one.message_type, (*within, message))
            yield from (f"{one.name}.{path}" for path in inner)


def test_the_table_is_whole() -> None:
    """Whatever has a field that is called an account, however deep, declares it; others beside it are known here."""
    for method in methods():
        undeclared = set(account_fields(method.descriptor.input_type)) - {method.rule.account_field}
        if method.is_public:
            assert undeclared == BOUND_TO_THE_DECLARED.get(method.descriptor.name, set()), method.path
    assert len(WITH_ACCOUNT) > 15


@pytest.mark.parametrize("method", named(WITH_ACCOUNT))
async def test_own_accounts(doors: Doors, method: Method) -> None:
    """Each account of the token may be named, in a list also all of them."""
    asked: list[tuple[str, ...]] = [(OWN,), (SECOND,)] + ([(OWN, SECOND)] if method.takes_list else [])
    for role in method.allowed:
        for accounts in asked:
            for outcome in await outcomes(doors, method, role, (OWN, SECOND), *accounts):
                assert not outcome.is_refusal, (role, accounts, outcome)
                assert not lacks_account(method, outcome), (role, accounts, outcome)


@pytest.mark.parametrize("method", named(WITH_ACCOUNT))
async def test_accounts_of_others(doors: Doors, method: Method) -> None:
    """Refused with the reason and the field, also beside one's own; who oversees all accounts may name any."""
    asked: list[tuple[str, ...]] = [(OTHERS,), ("DEMO",), (OWN.lower(),), (f"{OWN} ",)]
    asked += [(OWN, OTHERS), (OTHERS, OWN)] if method.takes_list else []
    for role in method.allowed:
        for accounts in asked:
            if role in method.any_account and "DEMO" in accounts:
                continue
            for outcome in await outcomes(doors, method, role, (OWN, SECOND), *accounts):
                if role in method.any_account:
                    assert not outcome.is_refusal, (role, accounts, outcome)
                else:
                    assert outcome.reason == "ACCOUNT_NOT_ALLOWED", (role, accounts, outcome)
                    assert outcome.fields == (method.rule.account_field,)


@pytest.mark.parametrize("method", named(WITH_ACCOUNT))
async def test_no_account_named(doors: Doors, method: Method) -> None:
    """The only one is filled in; of several a list gets all; else one must be named, but by who oversees all."""
    for role in method.allowed:
        for outcome in await outcomes(doors, method, role, (OWN,)):
            assert not outcome.is_refusal, (role, outcome)
            assert not lacks_account(method, outcome), (role, outcome)
        for outcome in await outcomes(doors, method, role, (OWN, SECOND)):
            assert not outcome.is_refusal, (role, outcome)
            if role not in method.any_account:
                assert lacks_account(method, outcome) is not method.takes_list, (role, outcome)


@pytest.mark.parametrize("method", named(WITH_ACCOUNT))
async def test_a_token_without_accounts(doors: Doors, method: Method) -> None:
    """Bound to nothing it may name nothing, and nothing named is not taken for everything."""
    for role in method.allowed:
        for accounts in ((), (OWN,)):
            for outcome in await outcomes(doors, method, role, (), *accounts):
                if role in method.any_account:
                    assert not outcome.is_refusal, (role, accounts, outcome)
                elif accounts:
                    assert outcome.reason == "ACCOUNT_NOT_ALLOWED", (role, accounts, outcome)
                else:
                    assert lacks_account(method, outcome), (role, accounts, outcome)


def test_every_command_of_a_session_is_tried() -> None:
    """Each command that names an account, in whatever message."""
    fields = entry.SessionCommand.DESCRIPTOR.oneofs_by_name["command"].fields
    messages = {one.name: cast(Descriptor, one.message_type) for one in fields}
    with_account = {name for name, message in messages.items() if "account" in message.fields_by_name}
    assert with_account == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
async def test_accounts_of_others_in_a_session(doors: Doors, name: str) -> None:
    """A session is for the accounts of its logon: its commands may name no other, and it goes on."""
    metadata = (("authorization", doors.header("market_maker", OWN, SECOND)),)
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(doors.servers["gateway"])
    call: Any = stub.OrderSession(metadata=metadata)
    await call.write(entry.OrderSessionRequest(logon=entry.Logon(accounts=[OWN])))
    for account in (OTHERS, SECOND):
        command = entry.SessionCommand()
        command.CopyFrom(COMMANDS[name])
        command.correlation_id = 7
        getattr(command, name).account = account
        await call.write(entry.OrderSessionRequest(frame=entry.CommandFrame(commands=[command])))
        while not (message := await call.read()).frame.replies:
            assert message.WhichOneof("message") != "end"
        (reply,) = message.frame.replies
        assert reply.refused.code == types.REASON_ACCOUNT_NOT_ALLOWED
    call.cancel()
