"""docs/matching.md and the tests cannot drift apart: what its tables say, the tests and the core name."""

import ast
import re
from pathlib import Path

from matching.core import words
from matching.core.market_sessions import FOLLOWING
from tests.unit.matching.market import word

HERE = Path(__file__).parent
SPECIFICATION = HERE.parents[2] / "docs" / "matching.md"


def rows(title: str) -> list[list[str]]:
    """The rows of the first table of a section, without its head."""
    section = SPECIFICATION.read_text().split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]
    table = re.search(r"(?:^\|.*\n?)+", section, re.MULTILINE)
    assert table is not None, title
    lines = table.group().strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def docstrings(pattern: str) -> dict[str, str]:
    """The docstrings of the tests of some modules, by name."""
    found = {}
    for path in HERE.glob(pattern):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.stem}::{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_every_interaction_has_its_test_and_every_test_its_row() -> None:
    """Section 8: a docstring begins with the row's first cell and a colon; no docstring names a row that is gone."""
    wanted = {row[0] for row in rows("8. ")}
    assert {text.split(":", 1)[0] for text in docstrings("test_matching_core_interactions.py").values()} == wanted


def test_every_self_trade_mode_has_its_test() -> None:
    """Section 2: the rows of the table of modes."""
    section = SPECIFICATION.read_text().split("### Self-trade prevention", 1)[1].split("### ", 1)[0]
    modes = re.findall(r"^\| ([A-Z_]+) \|", section, re.MULTILINE)
    assert set(modes) == {name for name in vars(words.SelfTradePrevention) if not name.startswith("_")}
    tested = " ".join(docstrings("test_matching_core_self_trade.py").values())
    assert [mode for mode in modes if f"Row {mode}:" not in tested] == []


def test_the_transitions_of_sessions_are_those_of_the_table() -> None:
    """Section 3: what may follow what."""
    documented = {row[0]: set(row[1].split(", ")) for row in rows("3. ")}
    coded = {
        word(words.TradingSession, before): {word(words.TradingSession, after) for after in following}
        for before, following in FOLLOWING.items()
    }
    assert coded == documented


def test_every_rule_has_its_boundary_test() -> None:
    """Section 6: each rule of the table is named by a test at its boundary, `rule:` first in the docstring."""
    names = [name for row in rows("6. ") for name in row[1].split(", ")]
    tested = {text.split(":", 1)[0] for text in docstrings("test_matching_core_risk_*.py").values()}
    assert [name for name in names if name not in tested] == []


def test_every_reason_of_the_table_is_a_reason_of_the_core() -> None:
    """Section 6: what a rule answers."""
    for row in rows("6. "):
        for reason in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", row[2]):
            assert hasattr(words.Reason, reason), reason
