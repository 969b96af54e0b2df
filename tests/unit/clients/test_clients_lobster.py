"""What each event of a LOBSTER message file means as a command."""

from pathlib import PurePath

import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.types.v1 import types_pb2 as types

from clients.flow.lobster import EventType, FlowAccounts, FlowEvent, FormatError, Mapping, parse, price_text, symbol_of

ACCOUNTS = FlowAccounts("B", "A", "T")
HEADER = "Time,Type,OrderId,Size,Price,Direction"


def mapped(*lines: str) -> tuple[list[entry.SessionCommand | None], Mapping]:
    """What each line became."""
    mapping = Mapping("run", "AMZN", ACCOUNTS)
    return [mapping.command(event) for event in parse(lines)], mapping


def test_a_line_is_read_exactly() -> None:
    """Times are whole nanoseconds and prices whole ten-thousandths: no float touches them."""
    (event,) = parse([HEADER, "34200.017459617,5,0,1,2238200,-1"])
    assert event == FlowEvent(34_200_017_459_617, EventType.EXECUTE_HIDDEN, "0", 1, 2_238_200, False)


def test_the_header_is_optional() -> None:
    """LOBSTER's own files have none."""
    assert len(list(parse(["34200,1,5,1,100,1"]))) == 1


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (2_238_100, "223.81"),
        (2_238_150, "223.815"),
        (2_230_000, "223"),
        (1, "0.0001"),
        (100_000_000_000_001, "10000000000.0001"),
    ],
)
def test_prices_become_plain_decimals(price: int, text: str) -> None:
    """USD times 10,000 becomes a decimal string without trailing zeros."""
    assert price_text(price) == text


@pytest.mark.parametrize(
    "line",
    ["34200,1,5,1,100", "34200,9,5,1,100,1", "34200,1,5,x,100,1", "34200,1,5,1,100,0", "now,1,5,1,100,1"],
)
def test_a_malformed_line_is_named(line: str) -> None:
    """A file that is not LOBSTER is refused with the number of the line."""
    with pytest.raises(FormatError, match="line 2"):
        list(parse([HEADER, line]))


def test_a_new_limit_order_rests_for_the_maker() -> None:
    """Type 1 becomes a DAY limit order whose key comes from the run and the file's order id."""
    (command,), _ = mapped("1.0,1,77,21,2238100,1")
    assert command is not None
    terms = command.submit
    assert (terms.account, terms.cl_ord_id, terms.symbol) == ("B", "run-77", "AMZN")
    assert (terms.side, terms.ord_type, terms.time_in_force) == (
        types.SIDE_BUY,
        types.ORD_TYPE_LIMIT,
        types.TIME_IN_FORCE_DAY,
    )
    assert (terms.qty, terms.price) == ("21", "223.81")


@pytest.mark.parametrize(("direction", "account"), [("1", "B"), ("-1", "A")])
def test_each_side_has_an_account_of_its_own(direction: str, account: str) -> None:
    """Orders, replaces and cancels of bids and of asks name different accounts, so that the two may trade."""
    commands, _ = mapped(*(f"{kind}.0,{kind},77,{qty},2238100,{direction}" for kind, qty in ((1, 21), (2, 1), (3, 20))))
    placed, lowered, deleted = (command for command in commands if command is not None)
    assert {placed.submit.account, lowered.replace.account, deleted.cancel.account} == {account}


def test_a_partial_cancel_lowers_the_total_quantity() -> None:
    """Type 2 becomes a replace to what remains of the total; the traded part stays in it."""
    commands, mapping = mapped(
        "1.0,1,77,21,2238100,1", "2.0,4,77,5,2238100,1", "3.0,2,77,6,2238100,1", "4.0,2,77,3,2238100,1"
    )
    replaces = [command.replace for command in commands if command and command.HasField("replace")]
    assert [(one.orig_cl_ord_id, one.qty, one.price) for one in replaces] == [
        ("run-77", "15", ""),
        ("run-77", "12", ""),
    ]
    assert replaces[0].cl_ord_id != replaces[1].cl_ord_id
    assert mapping.counts.replaces == 2


def test_a_partial_cancel_of_everything_is_a_cancel() -> None:
    """A replace that leaves nothing open would be refused."""
    commands, mapping = mapped("1.0,1,77,21,2238100,1", "2.0,2,77,21,2238100,1")
    assert commands[1] is not None
    assert commands[1].cancel.orig_cl_ord_id == "run-77"
    assert mapping.counts.cancels == 1


def test_a_deletion_is_a_cancel() -> None:
    """Type 3 cancels by the client's key; afterwards the order is not in the book."""
    commands, mapping = mapped("1.0,1,77,21,2238100,1", "2.0,3,77,21,2238100,1", "3.0,3,77,21,2238100,1")
    assert commands[1] is not None
    assert (commands[1].cancel.account, commands[1].cancel.orig_cl_ord_id) == ("B", "run-77")
    assert commands[2] is None
    assert mapping.counts.not_in_book == 1


@pytest.mark.parametrize(("direction", "side"), [("1", types.SIDE_SELL), ("-1", types.SIDE_BUY)])
def test_an_execution_is_an_order_of_the_taker_against_it(direction: str, side: types.Side.ValueType) -> None:
    """Type 4 becomes an IOC limit order of the other side, at the price and for the quantity executed."""
    commands, _ = mapped(f"1.0,1,77,21,2238100,{direction}", f"2.0,4,77,8,2238100,{direction}")
    assert commands[1] is not None
    terms = commands[1].submit
    assert (terms.account, terms.side, terms.time_in_force) == ("T", side, types.TIME_IN_FORCE_IOC)
    assert (terms.qty, terms.price) == ("8", "223.81")


def test_an_order_executed_in_full_has_left_the_book() -> None:
    """Its id is not in the book any more."""
    commands, mapping = mapped("1.0,1,77,21,2238100,1", "2.0,4,77,21,2238100,1", "3.0,3,77,21,2238100,1")
    assert commands[2] is None
    assert mapping.counts.not_in_book == 1


def test_a_hidden_execution_needs_no_announced_order() -> None:
    """Type 5 names no order; it is sent, off the tick or not."""
    (command,), mapping = mapped("1.0,5,0,100,2238150,-1")
    assert command is not None
    assert (command.submit.price, command.submit.side) == ("223.815", types.SIDE_BUY)
    assert mapping.counts.executions == 1


@pytest.mark.parametrize("kind", ["2", "3", "4"])
def test_orders_that_were_never_announced_are_counted_and_not_sent(kind: str) -> None:
    """What the file's top of book did not show is not in the book."""
    commands, mapping = mapped(f"1.0,{kind},99,5,2238100,1")
    assert commands == [None]
    assert mapping.counts.not_in_book == 1


def test_a_halt_is_counted_and_not_sent() -> None:
    """Type 7 has no order."""
    commands, mapping = mapped("1.0,7,0,0,-1,-1")
    assert commands == [None]
    assert (mapping.counts.halts, mapping.counts.events) == (1, 1)


def test_the_same_run_gives_the_same_keys() -> None:
    """A run that is repeated under its id repeats its requests instead of trading again."""
    lines = ("1.0,1,77,21,2238100,1", "2.0,4,77,5,2238100,1", "3.0,2,77,6,2238100,1", "4.0,3,77,3,2238100,1")
    assert mapped(*lines)[0] == mapped(*lines)[0]


@pytest.mark.parametrize("run_id", ["", "a" * 17, "a b", "ü"])
def test_a_run_id_must_fit_into_a_key(run_id: str) -> None:
    """Keys have at most 36 characters of a fixed alphabet."""
    with pytest.raises(ValueError, match="run id"):
        Mapping(run_id, "AMZN", ACCOUNTS)


def test_the_symbol_comes_from_the_file_name() -> None:
    """LOBSTER names files SYMBOL_DATE_…."""
    assert symbol_of(PurePath("/data/AMZN_2012-06-21_message_1.csv")) == "AMZN"
