"""The core speaks the contract's words: the same numbers, the same fields, the same events."""

import ast
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

import matching.core
from matching import convert
from matching.core import commands, words
from matching.core.events import OrderEvent, RiskNumbers

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
