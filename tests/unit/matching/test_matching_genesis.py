"""Genesis: the file that a new venue begins with, as commands that the core takes."""

from pathlib import Path

import pytest

from matching.convert import decode_command
from matching.core import commands
from matching.core.engine import Engine
from matching.core.events import CommandRefused, Replay
from matching.genesis import genesis_commands

DELIVERED = Path(__file__).parents[3] / "config" / "genesis.yaml"
SMALL = """
instruments:
  - {symbol: BTC, asset_class: CRYPTO, currency: USD, base_currency: BTC, tick_size: "0.01", lot_size: "0.0001"}
  - symbol: OPT
    asset_class: OPTION
    currency: USD
    tick_size: "0.05"
    lot_size: "1"
    multiplier: 100
    expiry_date: 2027-01-15
    strike_price: "200"
    option_right: CALL
accounts:
  - account: A
    cash: {USD: "12.5"}
    positions: {BTC: {qty: "0.5", price: "60000"}}
"""


def told_by(path: Path) -> list[commands.Body]:
    """The commands of a genesis file."""
    return [decode_command(data).body for data in genesis_commands(path)]


def written(folder: Path, text: str) -> Path:
    """A genesis file."""
    (folder / "genesis.yaml").write_text(text)
    return folder / "genesis.yaml"


def test_every_line_becomes_a_command(tmp_path: Path) -> None:
    """Instruments first, then each account with its cash and positions, in whole units of the core."""
    assert told_by(written(tmp_path, SMALL)) == [
        commands.ListInstrument("BTC", 4, "USD", 10**7, 10**5, base_currency="BTC"),
        commands.ListInstrument(
            "OPT",
            2,
            "USD",
            5 * 10**7,
            10**9,
            multiplier=100,
            expiry_date=20270115,
            strike_nano=200 * 10**9,
            option_right="CALL",
        ),
        commands.OpenAccount("A"),
        commands.AdjustCash("A", "USD", 12_500_000, "genesis-USD"),
        commands.AdjustPosition("A", "BTC", 5_000, 6_000_000, "genesis-BTC"),
    ]


def test_the_delivered_genesis_is_carried_out_in_full() -> None:
    """The core refuses none of the commands of the file that comes with the system."""
    engine = Engine()
    for number, data in enumerate(genesis_commands(DELIVERED), 1):
        told = engine.execute(decode_command(data), number)
        assert not isinstance(told, Replay)
        assert not any(isinstance(event, CommandRefused) for event in told)
    assert set(engine.venue.accounts) >= {"DEMO", "MM"}


def test_an_empty_file_begins_with_nothing(tmp_path: Path) -> None:
    """A venue may begin empty."""
    assert told_by(written(tmp_path, "# nothing\n")) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SMALL.replace("asset_class: CRYPTO", "asset_class: STAMPS"), "STAMPS"),
        (SMALL.replace('qty: "0.5"', 'qty: "0.00005"'), "0.00005"),
        (SMALL.replace('USD: "12.5"', "USD: 12.5"), "genesis.yaml"),
        (SMALL.replace('tick_size: "0.01", ', ""), "tick_size"),
        (SMALL.replace("positions: {BTC", "positions: {ETH"), "ETH"),
        ("instruments: [", "genesis.yaml"),
        ("just words", "genesis.yaml"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, named: str) -> None:
    """ValueError, with what is wrong in the message, before anything is written."""
    with pytest.raises(ValueError, match=named):
        genesis_commands(written(tmp_path, text))
