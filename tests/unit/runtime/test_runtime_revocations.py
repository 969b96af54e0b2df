"""What is revoked, and the file that says so."""

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from ordergate.auth.v1 import auth_pb2 as auth

from runtime.claims import CLOCK_LEEWAY_S, Principal
from runtime.revocations import Revocation, Revocations, add, parse, remove
from runtime.tokens import LIFETIME_S_MAX

NOW_S = 1_800_000_000.0


def caller(subject: str = "ann", token_id: str = "t-1", issued_at_s: float = NOW_S, *roles: int) -> Principal:
    """A caller with a token."""
    return Principal(
        subject, frozenset(roles or {auth.ROLE_TRADER}), ("DEMO",), False, NOW_S + 900, token_id, issued_at_s
    )


def holds(principal: Principal, *entries: Revocation) -> bool:
    """Whether the entries hold for the caller's token."""
    return Revocations(entries).hold_for(principal)


def test_a_token_is_revoked_by_its_id() -> None:
    """Only that one; a token without an id matches no entry."""
    entry = Revocation(token_id="t-1")
    assert holds(caller(), entry)
    assert not holds(caller(token_id="t-2"), entry)
    assert not holds(caller(token_id=""), entry)


def test_a_subject_is_revoked_with_all_tokens() -> None:
    """Whatever their ids and roles; others are not."""
    entry = Revocation(subject="ann")
    assert holds(caller(), entry)
    assert holds(caller("ann", "", NOW_S, auth.ROLE_AUDITOR), entry)
    assert not holds(caller("bob"), entry)


def test_a_role_is_revoked_for_a_subject() -> None:
    """Tokens of the subject that carry the role, also beside other roles."""
    entry = Revocation(subject="ann", role="market_maker")
    assert holds(caller("ann", "", NOW_S, auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER), entry)
    assert not holds(caller("ann", "", NOW_S, auth.ROLE_TRADER), entry)
    assert not holds(caller("bob", "", NOW_S, auth.ROLE_MARKET_MAKER), entry)


@pytest.mark.parametrize(
    "named", [{"subject": "ann"}, {"subject": "ann", "role": "trader"}, {"token_id": "t-1"}], ids=str
)
def test_what_is_issued_later_is_valid(named: dict[str, Any]) -> None:
    """With `not_before` an entry holds for tokens issued earlier, up to that moment."""
    entry = Revocation(**named, not_before_s=NOW_S)
    assert holds(caller(issued_at_s=NOW_S - 1), entry)
    assert not holds(caller(issued_at_s=NOW_S), entry)


def test_the_strictest_of_several_entries_counts() -> None:
    """An entry for ever is not weakened by one with a time, in whatever order they stand."""
    entries = [Revocation(subject="ann"), Revocation(subject="ann", not_before_s=NOW_S - 100)]
    assert holds(caller(), *entries)
    assert holds(caller(), *reversed(entries))


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"token_id": "a", "subject": "b"},
        {"role": "trader"},
        {"subject": "a", "role": "king"},
        {"token_id": "a", "role": "trader"},
    ],
    ids=str,
)
def test_an_entry_names_one_thing(named: dict[str, Any]) -> None:
    """A mistake must not turn into an entry that revokes nothing, or everybody."""
    with pytest.raises(ValueError, match=r"revo|role"):
        Revocation(**named)


def test_a_file_is_read_as_it_is_documented() -> None:
    """Times are RFC 3339 with their zone."""
    document = {
        "revocations": [
            {"token_id": "t", "revoked_at": "2027-01-15T08:00:00Z", "why": "laptop lost"},
            {"subject": "bob", "role": "trader", "not_before": "2027-01-15T10:00:00+02:00"},
        ]
    }
    assert parse(json.dumps(document).encode()) == [
        Revocation(token_id="t", revoked_at_s=NOW_S, why="laptop lost"),
        Revocation(subject="bob", role="trader", not_before_s=NOW_S),
    ]


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ({}, "names"),
        ({"subjects": "ann"}, "'subjects'"),
        ({"subject": 7}, "no text"),
        ({"subject": "ann", "not_before": "soon"}, "Invalid isoformat"),
        ({"subject": "ann", "not_before": "2027-01-15T08:00:00"}, "time zone"),
        ({"subject": "ann", "not_before": 1_800_000_000}, "no text"),
        ("ann", "no object"),
    ],
)
def test_a_wrong_entry_is_named(entry: Any, wrong: str) -> None:
    """A file with a mistake is refused as a whole, and the entry is named."""
    with pytest.raises(ValueError, match=f"revocation 1: .*{wrong}"):
        parse(json.dumps({"revocations": [{"subject": "good"}, entry]}).encode())


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"revocations": {}}', b"[" * 100_000])
def test_other_files_are_refused(document: bytes) -> None:
    """What is no file of revocations is an error, not an empty one."""
    with pytest.raises(ValueError, match="revocations"):
        parse(document)


def test_added_entries_are_read_again(tmp_path: Path) -> None:
    """What was added stands there with its time, for its owner's eyes only."""
    path = tmp_path / "keys" / "revocations.json"
    assert add(path, [Revocation(subject="ann", why="left"), Revocation(token_id="t")], NOW_S) == 2
    assert add(path, [Revocation(subject="bob", role="trader", not_before_s=NOW_S + 0.5)], NOW_S) == 3
    assert parse(path.read_bytes()) == [
        Revocation(subject="ann", revoked_at_s=NOW_S, why="left"),
        Revocation(token_id="t", revoked_at_s=NOW_S),
        Revocation(subject="bob", role="trader", not_before_s=NOW_S + 0.5, revoked_at_s=NOW_S),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_entry_stands_once(tmp_path: Path) -> None:
    """The same thing revoked again replaces the entry."""
    path = tmp_path / "revocations.json"
    add(path, [Revocation(subject="ann", not_before_s=NOW_S)], NOW_S)
    assert add(path, [Revocation(subject="ann")], NOW_S + 1) == 1
    assert parse(path.read_bytes()) == [Revocation(subject="ann", revoked_at_s=NOW_S + 1)]


def test_entries_of_expired_tokens_are_dropped(tmp_path: Path) -> None:
    """The file does not grow for ever; entries of subjects stay."""
    path = tmp_path / "revocations.json"
    add(path, [Revocation(token_id="old"), Revocation(subject="ann")], NOW_S)
    later_s = NOW_S + LIFETIME_S_MAX + 2 * CLOCK_LEEWAY_S
    assert add(path, [Revocation(token_id="new")], later_s) == 3
    assert add(path, [Revocation(token_id="newer")], later_s + 1) == 3
    assert [entry.token_id for entry in parse(path.read_bytes())] == ["", "new", "newer"]


def test_an_entry_is_taken_out_again(tmp_path: Path) -> None:
    """By exactly what it names; how many there were is told."""
    path = tmp_path / "revocations.json"
    add(path, [Revocation(subject="ann"), Revocation(subject="ann", role="trader")], NOW_S)
    assert remove(path, subject="ann", role="trader") == 1
    assert remove(path, subject="ann", role="trader") == 0
    assert [entry.role for entry in parse(path.read_bytes())] == [""]


def test_a_file_with_a_mistake_is_left_as_it_is(tmp_path: Path) -> None:
    """Whoever wrote it by hand loses nothing."""
    path = tmp_path / "revocations.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="revocations"):
        add(path, [Revocation(subject="ann")], NOW_S)
    assert path.read_text() == "{"


def test_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Several at once: every entry is there in the end, and no reader ever saw half a file."""
    path = tmp_path / "revocations.json"
    add(path, [Revocation(subject="first")], NOW_S)
    writers = [
        threading.Thread(target=add, args=(path, [Revocation(subject=f"s{number}")], NOW_S)) for number in range(8)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert parse(path.read_bytes())
    for writer in writers:
        writer.join()
    assert {entry.subject for entry in parse(path.read_bytes())} == {"first", *(f"s{number}" for number in range(8))}
