"""Genesis: the file that a new venue begins with, as commands that the core takes."""

from pathlib import Path
from typing import Any

import pytest
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.convert import decode_command
from matching.core.engine import Engine
from matching.core.events import Replay, VenueEvent
from matching.genesis import genesis_commands

DELIVERED = Path(__file__).parents[3] / "config" / "genesis.yaml"
SMALL = """
instruments:
  - symbol: BTC
    asset_class: CRYPTO
    currency: USD
    base_currency: BTC
    tick_size: "0.01"
    lot_size: "0.0001"
    trading_session: PRE_OPEN
    price_band_bps: 500
  - symbol: OPT
    asset_class: OPTION
    currency: USD
    tick_size: "0.05"
    lot_size: "1"
    multiplier: 100
    expiry_date: 2027-01-15
    strike_price: "200"
    option_right: CALL
fee_schedules:
  - {fee_schedule: F, maker_ppm: -20, taker_ppm: 100, lot: "0.01"}
accounts:
  - account: A
    cash: {USD: "12.5"}
    positions: {BTC: {qty: "0.5", price: "60000"}}
    self_trade_group: G
    fee_schedule: F
    limits: {order_notional: "1.5", restricted: true}
limits:
  - {symbol: OPT, order_qty_lots: 7, reference_age_s: "0.5"}
"""


EXPECTED: list[dict[str, Any]] = [
    {
        "list_instrument": wire.ListInstrument(
            symbol="BTC",
            asset_class=types.ASSET_CLASS_CRYPTO,
            currency="USD",
            base_currency="BTC",
            tick_size_nano=10**7,
            lot_size_nano=10**5,
            multiplier=1,
            trading_session=types.TRADING_SESSION_PRE_OPEN,
        )
    },
    {
        "configure_instrument": wire.ConfigureInstrument(
            symbol="BTC", request_id="genesis-BTC", update_mask=["price_band_bps"], price_band_bps=500
        )
    },
    {
        "list_instrument": wire.ListInstrument(
            symbol="OPT",
            asset_class=types.ASSET_CLASS_OPTION,
            currency="USD",
            tick_size_nano=5 * 10**7,
            lot_size_nano=10**9,
            multiplier=100,
            expiry_date=20270115,
            strike_nano=200 * 10**9,
            option_right="CALL",
        )
    },
    {
        "set_fee_schedule": wire.SetFeeSchedule(
            fee_schedule="F", request_id="genesis-fees-F", maker_ppm=-20, taker_ppm=100, lot_micro=10_000
        )
    },
    {"open_account": wire.OpenAccount(account="A")},
    {
        "configure_account": wire.ConfigureAccount(
            account="A",
            request_id="genesis-settings",
            update_mask=["self_trade_group", "fee_schedule"],
            self_trade_group="G",
            fee_schedule="F",
        )
    },
    {"adjust_cash": wire.AdjustCash(account="A", currency="USD", amount_micro=12_500_000, request_id="genesis-USD")},
    {
        "adjust_position": wire.AdjustPosition(
            account="A", symbol="BTC", qty_lots=5_000, price_ticks=6_000_000, request_id="genesis-BTC"
        )
    },
    {
        "set_limits": wire.SetLimits(
            account="A",
            request_id="genesis-limits",
            update_mask=["order_notional_micro", "restricted"],
            limits=wire.Limits(order_notional_micro=1_500_000, restricted=True),
        )
    },
    {
        "set_limits": wire.SetLimits(
            symbol="OPT",
            request_id="genesis-limits-1",
            update_mask=["order_qty_lots", "reference_age_ns"],
            limits=wire.Limits(order_qty_lots=7, reference_age_ns=500_000_000),
        )
    },
]


def told_by(path: Path) -> list[wire.Command]:
    """The commands of a genesis file."""
    return [wire.Command.FromString(data) for data in genesis_commands(path)]


def written(folder: Path, text: str) -> Path:
    """A genesis file."""
    (folder / "genesis.yaml").write_text(text)
    return folder / "genesis.yaml"


def test_every_line_becomes_a_command(tmp_path: Path) -> None:
    """Instruments, fee schedules, accounts with what they own and may do, limits: in whole units of the core."""
    assert told_by(written(tmp_path, SMALL)) == [wire.Command(actor="genesis", **body) for body in EXPECTED]


def test_every_limit_has_a_name(tmp_path: Path) -> None:
    """What a limit is called in the file differs from the command's field only in the unit; none is missing."""
    decimals = {"_micro": "", "_ns": "_s"}
    named = {}
    for field in wire.Limits.DESCRIPTOR.fields_by_name:
        unit = next((unit for unit in decimals if field.endswith(unit)), "")
        named[field.removesuffix(unit) + decimals.get(unit, "")] = '"2"' if unit else "1"
    text = "limits: [{" + ", ".join(f"{name}: {value}" for name, value in named.items()) + "}]"
    (command,) = told_by(written(tmp_path, text.replace("restricted: 1", "restricted: true")))
    assert set(command.set_limits.update_mask) == set(wire.Limits.DESCRIPTOR.fields_by_name)
    assert (command.set_limits.limits.daily_loss_micro, command.set_limits.limits.reference_age_ns) == (
        2_000_000,
        2_000_000_000,
    )


def test_the_delivered_genesis_is_carried_out_in_full() -> None:
    """The core refuses none of the commands of the file that comes with the system."""
    engine = Engine()
    for number, data in enumerate(genesis_commands(DELIVERED), 1):
        told = engine.execute(decode_command(data), number)
        assert not isinstance(told, Replay)
        assert not any(isinstance(event, VenueEvent) and event.name == "command_refused" for event in told)
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
        (SMALL.replace('tick_size: "0.01"', 'ticksize: "0.01"'), "tick_size"),
        (SMALL.replace("PRE_OPEN", "TEA_TIME"), "TEA_TIME"),
        (SMALL.replace("order_qty_lots", "order_size"), "order_size"),
        (SMALL.replace("taker_ppm: 100", "taker_ppm: much"), "genesis.yaml"),
        (SMALL.replace("positions: {BTC", "positions: {ETH"), "ETH"),
        ("instruments: [", "genesis.yaml"),
        ("just words", "genesis.yaml"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, named: str) -> None:
    """ValueError, with what is wrong in the message, before anything is written."""
    with pytest.raises(ValueError, match=named):
        genesis_commands(written(tmp_path, text))
