"""The core speaks the contract's words: the same numbers, the same fields, the same events."""

import ast
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

import matching.core
from matching import convert
from matching.core import commands, words
from matching.core.events import OrderEvent, RiskNumbers, VenueEvent
from tests.unit.matching.market import Market

FOLDER = Path(matching.core.__file__).parent
CONTRACT: dict[type, Any] = {
    words.Side: types.Side,
    words.OrdType: types.OrdType,
    words.TimeInForce: types.TimeInForce,
    words.SelfTradePrevention: types.SelfTradePrevention,
    words.TriggerBy: types.TriggerBy,
    words.TrailUnit: types.TrailUnit,
    words.ContingencyType: types.ContingencyType,
    words.TradingSession: types.TradingSession,
    words.KillSwitchScope: types.KillSwitchScope,
    words.AssetClass: types.AssetClass,
    words.OrdStatus: types.OrdStatus,
    words.ExecType: types.ExecType,
    words.RequestKind: types.RequestKind,
    words.Cause: types.Cause,
    words.Liquidity: types.Liquidity,
    words.RiskUnit: events.RiskUnit,
    words.Reason: types.Reason,
}
COMPLETE = [kind for kind in CONTRACT if kind not in (words.Reason, words.ExecType)]
"""Of reasons and kinds of report the core has only those that it gives itself."""
BODIES: list[type] = list(typing.get_args(commands.Body))


def numbers_of(kind: type) -> dict[str, int]:
    """The words of a class and their numbers."""
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def screaming(name: str) -> str:
    """OrdType is ORD_TYPE."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name).strip("_")


def snake(name: str) -> str:
    """NewOrder is new_order."""
    return screaming(name).lower()


def constructor(kind: type) -> ast.FunctionDef | None:
    """The constructor that is written out in a class's source; compiled, the class cannot tell of it."""
    tree = ast.parse((FOLDER / f"{kind.__module__.rpartition('.')[2]}.py").read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    return next((one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def parameters(kind: type) -> list[str]:
    """What a command is made of."""
    made = constructor(kind)
    return [one.arg for one in made.args.args[1:]] if made is not None else [one.name for one in fields(kind)]


def attributes(kind: type) -> set[str]:
    """What the constructor of a class sets."""
    made = constructor(kind)
    assert made is not None
    stored = (node for node in ast.walk(made) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return {node.attr for node in stored}


def values_of(command: Any) -> dict[str, Any]:
    """What a command was made of; compiled, it has no `__dict__`."""
    return {name: getattr(command, name) for name in parameters(type(command))}


def field_names(message: Any) -> list[str]:
    """The fields of a message."""
    return [field.name for field in message.DESCRIPTOR.fields]


def messages() -> dict[str, Any]:
    """The events of the contract and their messages."""
    return {field.name: field.message_type for field in events.Event.DESCRIPTOR.oneofs_by_name["body"].fields}


def said() -> dict[str, list[set[str]]]:
    """Every call of `say` in the core: the name of the event, and the fields that it is given."""
    found: dict[str, list[set[str]]] = {}
    for path in FOLDER.glob("*.py"):
        for function in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]:
            dicts = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "say":
                    given = call.args[1] if isinstance(call.args[1], ast.Dict) else dicts[0]
                    names = {str(typing.cast(ast.Constant, key).value) for key in given.keys}
                    found.setdefault(str(typing.cast(ast.Constant, call.args[0]).value), []).append(names)
    return found


def test_every_word_of_the_core_is_held_against_the_contract() -> None:
    """A new class of words cannot be forgotten here."""
    assert {value for value in vars(words).values() if isinstance(value, type)} == CONTRACT.keys()


@pytest.mark.parametrize("kind", CONTRACT, ids=lambda kind: kind.__name__)
def test_the_words_of_the_core_have_the_numbers_of_the_contract(kind: type) -> None:
    """Events are encoded by number: every word means the same on the wire."""
    for name, number in numbers_of(kind).items():
        wanted = f"{screaming(kind.__name__)}_{name if number else 'UNSPECIFIED'}"
        assert CONTRACT[kind].DESCRIPTOR.values_by_number[number].name == wanted


@pytest.mark.parametrize("kind", COMPLETE, ids=lambda kind: kind.__name__)
def test_the_core_knows_every_word_of_the_contract(kind: type) -> None:
    """What a client may send, the core has a word for."""
    contract = {value.number for value in CONTRACT[kind].DESCRIPTOR.values} - {0}
    assert set(numbers_of(kind).values()) - {0} == contract


def test_every_reason_of_the_core_is_given_somewhere() -> None:
    """A reason that the core names and never gives would be a promise that nobody keeps."""
    source = "\n".join(path.read_text() for path in FOLDER.glob("*.py") if path.stem != "words")
    assert [name for name in numbers_of(words.Reason) if f"Reason.{name}" not in source] == []


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_a_command_has_the_fields_of_its_message(kind: type) -> None:
    """`convert` builds a command by the names of its message; neither has more than the other."""
    assert sorted(parameters(kind)) == sorted(field_names(getattr(wire, kind.__name__)))


@pytest.mark.parametrize("kind", [commands.QuoteEntry, commands.Limits], ids=lambda kind: kind.__name__)
def test_a_part_of_a_command_has_the_fields_of_its_message(kind: type) -> None:
    """Parts are built by name, too, and in the contract's order."""
    assert parameters(kind) == field_names(getattr(wire, kind.__name__))


def test_the_commands_are_those_of_the_contract() -> None:
    """Each body of the contract has its class, and `convert` knows each."""
    contract = {field.name for field in wire.Command.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert {snake(kind.__name__) for kind in BODIES} == contract
    by_hand = {"new_order", "cancel_order", "replace_order", "new_order_list"}
    assert convert.COMMANDS.keys() | by_hand == contract
    assert all(snake(kind.__name__) == name for name, kind in convert.COMMANDS.items())


def test_the_venues_events_are_those_of_the_contract() -> None:
    """Each event of the contract is said somewhere, and no other; with the fields of its message only."""
    contract = messages()
    calls = said()
    assert calls.keys() | {"order"} == contract.keys()
    for name, given in calls.items():
        for names in given:
            assert names <= {field.name for field in contract[name].fields}, name


def test_an_event_of_the_venue_says_all_that_its_message_has() -> None:
    """Some call gives each field: nothing of the contract stays empty for ever."""
    contract = messages()
    for name, given in said().items():
        assert set().union(*given) == {field.name for field in contract[name].fields}, name


def same(message: Any, value: Any) -> bool:
    """Whether a message has the fields of a part of a command."""
    if not is_dataclass(value):
        return bool((list(message) if isinstance(value, list) else message) == value)
    return all(same(getattr(message, field.name), getattr(value, field.name)) for field in fields(value))


def test_every_event_reads_back_as_it_was_said(market: Market) -> None:
    """A day that has each event of the contract: its bytes are read back with every field that the core gave."""
    done = [event for events_of in day(market) for event in events_of]
    names = set()
    for event in done:
        read = events.Event.FromString(convert.encode_event(event, last_of_command=True))
        name = event.name if isinstance(event, VenueEvent) else "order"
        names.add(name)
        assert (read.WhichOneof("body"), read.seq, read.command_seq) == (name, event.seq, event.command_seq)
        given = event.fields if isinstance(event, VenueEvent) else order_fields(event)
        for field, value in given.items():
            assert same(getattr(getattr(read, name), field), value), (name, field)
    assert names == messages().keys() - {"instrument_listed", "account_opened", "cash_adjusted", "position_adjusted"}


def order_fields(event: Any) -> dict[str, Any]:
    """The fields of an order event, without the numbers of a denial."""
    own = {name: getattr(event, name) for name in field_names(events.OrderEvent) if hasattr(event, name)}
    own.pop("risk")
    return values_of(event.terms) | own


def day(market: Market) -> Iterator[list[Any]]:
    """Something of everything."""
    yield market.tell(commands.OpenSession("S", "G", True, 100), session_id="S")
    yield market.tell(commands.RenewSession("S"))
    yield market.wait_until(market.now_unix_ns + 200)
    yield market.tell(commands.CloseSession("S"))
    yield market.configure("ALICE", self_trade_group="G", short_margin_bps=1)
    yield market.configure_instrument(price_band_bps=900)
    yield market.tell(commands.SetFeeSchedule("F", "fees", -5, 7, 9))
    yield market.configure("BOB", fee_schedule="F")
    yield market.limit("BOB", repeated_executions=1, order_qty_lots=50)
    yield market.reference(100)
    yield market.sell("ALICE", 9, 101, display_qty_lots=2, reduce_only=True, decision_maker="eve", strategy_id="s")
    yield market.buy("BOB", 5, 101, client_unix_ns=9)
    yield market.buy("BOB", 51, 101)
    yield market.tell(commands.ReleaseThrottle("BOB", "XYZ", "go"))
    terms: dict[str, Any] = {
        "ord_type": 5,
        "trail_offset": 5,
        "trail_unit": 2,
        "trigger_by": 3,
        "list_id": "L",
        "leg": 1,
    }
    yield market.sell("ALICE", 1, contingency_type=2, time_in_force=6, expire_unix_ns=2**62, **terms)
    yield market.tell(commands.MassQuote("ALICE", "Q", [commands.QuoteEntry("XYZ", 90, 1, 120, 1)]))
    yield market.tell(commands.MassCancel("ALICE", "M", "XYZ", 2, "T"), received_unix_ns=5, session_id="T")
    yield market.session(words.TradingSession.CLOSING_AUCTION)
    yield market.tell(commands.EngageKillSwitch(1, "", "stop", "enough"))
    yield market.tell(commands.ReleaseKillSwitch(1, "", "on", "eve"))
    yield market.tell(commands.CloseDay(20261122))
    yield market.tell(commands.CloseDay(20261122))
    yield market.tell(commands.DelistInstrument("XYZ", "end"))


def wired(value: Any) -> Any:
    """A command, or a part of one, as its message."""
    if isinstance(value, list):
        return [wired(part) for part in value]
    if type(value).__module__ != commands.__name__:
        return value
    kind = type(value)
    return getattr(wire, kind.__name__)(**{name: wired(getattr(value, name)) for name in parameters(kind)})


@pytest.mark.parametrize(
    "body",
    [
        commands.MassQuote("A", "Q", [commands.QuoteEntry("X", 1, 2, 3, 4), commands.QuoteEntry("Y")]),
        commands.SetLimits(
            "A", "X", "r", ["order_qty_lots"], commands.Limits(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, True)
        ),
        commands.ConfigureAccount("A", "r", ["fee_schedule", "short_margin_bps"], True, 7, "G", "F"),
        commands.TimeTick(),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_command_with_parts_arrives_as_it_was_sent(body: Any) -> None:
    """Lists and parts included; and who sent it, by which session and gateway."""
    command = wire.Command(actor="ann", session_id="S", gateway_id="G", received_unix_ns=5)
    getattr(command, snake(type(body).__name__)).CopyFrom(wired(body))
    getattr(command, snake(type(body).__name__)).SetInParent()
    read = convert.decode_command(command.SerializeToString())
    assert read.body == body
    assert (read.actor, read.session_id, read.gateway_id, read.received_unix_ns) == ("ann", "S", "G", 5)


def test_a_list_of_orders_arrives_in_its_order() -> None:
    """Each with its fields."""
    orders = [commands.NewOrder("A", f"K{n}", "X", qty_lots=n, price_ticks=n) for n in range(1, 4)]
    command = wire.Command(new_order_list=wire.NewOrderList(account="A", orders=wired(orders)))
    body = convert.decode_command(command.SerializeToString()).body
    assert isinstance(body, commands.NewOrderList)
    assert [values_of(order) for order in body.orders] == [values_of(order) for order in orders]


def test_an_order_event_has_the_fields_of_its_message() -> None:
    """The state that an event carries and the terms that it refers to are together the contract's OrderEvent."""
    own = attributes(OrderEvent) - {"seq", "command_seq", "time_unix_ns", "terms"}
    terms = set(parameters(commands.NewOrder))
    assert own | terms == set(field_names(events.OrderEvent))


def test_the_numbers_of_a_denial_are_the_contracts() -> None:
    """Rule, unit, limit, current, projected, version."""
    assert parameters(RiskNumbers) == field_names(events.RiskNumbers)


def test_a_new_order_keeps_its_fields_in_the_order_of_the_contract_s_converter() -> None:
    """`convert` passes them by position: a message with a different value in each field arrives unmixed."""
    message = wire.NewOrder()
    for place, field in enumerate(wire.NewOrder.DESCRIPTOR.fields, start=1):
        values = {field.CPPTYPE_STRING: str(place), field.CPPTYPE_BOOL: True}
        setattr(message, field.name, values.get(field.cpp_type, place))
    body = convert.decode_command(wire.Command(new_order=message).SerializeToString()).body
    for name in field_names(wire.NewOrder):
        assert getattr(body, name) == getattr(message, name), name


@pytest.mark.parametrize("name", ["replace_order", "cancel_order"])
def test_a_replace_and_a_cancel_arrive_unmixed(name: str) -> None:
    """Their fields are passed by position as well."""
    command = wire.Command()
    message = getattr(command, name)
    for place, field in enumerate(message.DESCRIPTOR.fields, start=1):
        setattr(message, field.name, str(place) if field.cpp_type == field.CPPTYPE_STRING else place)
    body = convert.decode_command(command.SerializeToString()).body
    for name_of_field in field_names(message):
        assert getattr(body, name_of_field) == getattr(message, name_of_field), name_of_field


def test_limits_are_tightened_field_by_field() -> None:
    """A limit that is added to the contract cannot be forgotten where several scopes apply."""
    source = (FOLDER / "limits.py").read_text()
    assert [field.name for field in fields(commands.Limits) if f"limits.{field.name} =" not in source] == []
