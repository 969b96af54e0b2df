"""What a new journal begins with: instruments and accounts from a file, as ordinary commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from runtime.decimals import NANO, parse_nano

NANO_PER_MICRO = 1000


def genesis_commands(path: Path) -> list[bytes]:
    """The commands that a genesis file stands for, encoded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it says something that cannot be; the message names it.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
        return [command.SerializeToString() for command in _commands(content)]
    except (AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error!r}") from error


def _commands(content: dict[str, Any]) -> Iterator[wire.Command]:
    listed = {entry["symbol"]: _instrument(entry) for entry in content.get("instruments", ())}
    for instrument in listed.values():
        yield wire.Command(actor="genesis", list_instrument=instrument)
    for entry in content.get("accounts", ()):
        yield from _account(entry, listed)


def _instrument(entry: dict[str, Any]) -> wire.ListInstrument:
    expiry = str(entry.get("expiry_date", "0")).replace("-", "")
    return wire.ListInstrument(
        symbol=entry["symbol"],
        asset_class=types.AssetClass.Value(f"ASSET_CLASS_{entry['asset_class']}"),
        currency=entry["currency"],
        tick_size_nano=parse_nano(entry["tick_size"]),
        lot_size_nano=parse_nano(entry["lot_size"]),
        multiplier=entry.get("multiplier", 1),
        description=entry.get("description", ""),
        base_currency=entry.get("base_currency", ""),
        expiry_date=int(expiry),
        strike_nano=parse_nano(entry.get("strike_price", "0")),
        option_right=entry.get("option_right", ""),
    )


def _account(entry: dict[str, Any], listed: dict[str, wire.ListInstrument]) -> Iterator[wire.Command]:
    account = entry["account"]
    yield wire.Command(actor="genesis", open_account=wire.OpenAccount(account=account))
    for currency, amount in entry.get("cash", {}).items():
        cash = wire.AdjustCash(
            account=account,
            currency=currency,
            amount_micro=_whole(parse_nano(amount), NANO_PER_MICRO, amount),
            request_id=f"genesis-{currency}",
        )
        yield wire.Command(actor="genesis", adjust_cash=cash)
    for symbol, held in entry.get("positions", {}).items():
        instrument = listed[symbol]
        position = wire.AdjustPosition(
            account=account,
            symbol=symbol,
            qty_lots=_whole(parse_nano(held["qty"]), instrument.lot_size_nano, held["qty"]),
            price_ticks=_whole(parse_nano(held["price"]), instrument.tick_size_nano, held["price"]),
            request_id=f"genesis-{symbol}",
        )
        yield wire.Command(actor="genesis", adjust_position=position)


def _whole(value_nano: int, step_nano: int, text: str) -> int:
    steps, rest = divmod(value_nano, step_nano)
    if rest:
        raise ValueError(f"{text} is not a multiple of {cast(float, step_nano) / NANO}")
    return steps
