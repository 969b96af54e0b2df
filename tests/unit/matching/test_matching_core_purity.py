"""The core is pure, and speaks the contract's words."""

import ast
from enum import IntEnum
from pathlib import Path

import pytest
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

import matching.core
from matching.core import words

FOLDER = Path(matching.core.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))
PURE = {"__future__", "bisect", "collections", "enum", "itertools", "matching", "msgspec", "operator", "typing"}
"""All that the core may import; nothing here knows a clock, a file, a network, an environment or chance."""
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "hash", "id", "set"}
"""Built-in functions that reach outside, or whose results differ between runs of the same commands."""
CONTRACT = {
    words.Side: types.Side,
    words.OrdType: types.OrdType,
    words.TimeInForce: types.TimeInForce,
    words.SelfTradePrevention: types.SelfTradePrevention,
    words.OrdStatus: types.OrdStatus,
    words.ExecType: types.ExecType,
    words.RequestKind: types.RequestKind,
    words.Cause: types.Cause,
    words.Liquidity: types.Liquidity,
    words.RiskUnit: events.RiskUnit,
    words.Reason: types.Reason,
}


def imported(tree: ast.Module) -> set[str]:
    """The dotted names of everything that a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(f"{'.' * node.level}{node.module or ''}")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_imports_nothing_impure(path: Path) -> None:
    """Of our own code only the core itself; of others' only what computes."""
    for name in imported(ast.parse(path.read_text())):
        root = name.split(".")[0]
        assert root in PURE, f"{path.name} imports {name}"
        assert root != "matching" or name.startswith("matching.core"), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_calls_nothing_impure(path: Path) -> None:
    """Neither a built-in that reaches outside, nor one that depends on addresses or the hash seed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"{path.name}:{node.lineno} calls {node.func.id}"
        assert not isinstance(node, (ast.Set, ast.SetComp)), f"{path.name}:{node.lineno} makes a set"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_knows_no_floats(path: Path) -> None:
    """Prices, quantities and money are integers: no float literal and no true division."""
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{path.name}:{node.lineno}"
        assert not (isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div)), (
            f"{path.name}:{node.lineno}"
        )


def test_every_enum_of_the_core_is_held_against_the_contract() -> None:
    """A new enum cannot be forgotten here."""
    enums = {value for value in vars(words).values() if isinstance(value, type) and issubclass(value, IntEnum)}
    assert enums - {IntEnum} == CONTRACT.keys()


@pytest.mark.parametrize("mine", CONTRACT, ids=lambda enum: enum.__name__)
def test_the_words_of_the_core_have_the_numbers_of_the_contract(mine: type[IntEnum]) -> None:
    """Events are encoded by number: every word means the same on the wire."""
    contract = CONTRACT[mine].DESCRIPTOR
    screaming = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in mine.__name__).strip("_")
    for word in mine:
        name = "UNSPECIFIED" if word == 0 else word.name
        assert contract.values_by_number[word].name == f"{screaming}_{name}"
