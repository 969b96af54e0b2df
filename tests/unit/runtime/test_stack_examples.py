"""The lines to copy are whole commands for any shell."""

import json
import shlex
from pathlib import Path

import pytest

from runtime.stack.examples import lines, program
from runtime.stack.home import isolated

TOKEN = "header.claims.signature"


def _words(folder: Path) -> list[list[str]]:
    return [shlex.split(line) for line in lines(isolated(folder), "http://127.0.0.1:8000", TOKEN)]


def test_each_line_carries_the_token(tmp_path: Path) -> None:
    """All three work as they are: no variable has to be set first."""
    curl, grpcurl, ordergate = _words(tmp_path)
    assert f"Authorization: Bearer {TOKEN}" in curl
    assert f"authorization: Bearer {TOKEN}" in grpcurl
    assert ordergate[ordergate.index("--token") + 1] == TOKEN


def test_lines_are_orders_of_their_own(tmp_path: Path) -> None:
    """Each line has another client key, also in the next run, so that none repeats an earlier order."""
    keys = [_key(words) for _ in range(2) for words in _words(tmp_path)[:2]]
    assert len(set(keys)) == len(keys)


def test_a_program_is_named_as_one_types_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Relative where that works, absolute elsewhere."""
    monkeypatch.setattr("sys.executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    assert program("grpcurl") == ".venv/bin/grpcurl"
    monkeypatch.chdir("/")
    assert program("grpcurl") == str(tmp_path / ".venv" / "bin" / "grpcurl").removeprefix("/")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program("grpcurl") == str(tmp_path / ".venv" / "bin" / "grpcurl")


def _key(words: list[str]) -> str:
    body = json.loads(words[words.index("-d") + 1])
    return str(body.get("order", body)["cl_ord_id"])
