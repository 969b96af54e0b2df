"""What a new journal begins with, from a file, as ordinary commands: instruments, fee schedules, accounts, limits.

Money, quantities, prices and seconds are decimal strings in the file; rates are
whole numbers. Each command has a request id of its own, so that none can happen
twice. `matching.server` calls it for a journal that is empty.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from runtime.decimals import NANO, parse_nano

NANO_PER_MICRO = 1000
ACTOR = "genesis"
ACCOUNT_SETTINGS = ("short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule")
INSTRUMENT_SETTINGS = ("market_collar_bps", "price_band_bps")

Entry = dict[str, Any]
Listed = dict[str, wire.ListInstrument]


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


def _commands(content: Entry) -> Iterator[wire.Command]:
    listed: Listed = {}
    for entry in content.get("instruments", ()):
        listed[entry["symbol"]] = _instrument(entry)
        yield _command(list_instrument=listed[entry["symbol"]])
        if mask := _given(entry, INSTRUMENT_SETTINGS):
            changed = {name: entry[name] for name in mask}
            configure = wire.ConfigureInstrument(
                symbol=entry["symbol"], request_id=f"genesis-{entry['symbol']}", update_mask=mask, **changed
            )
            yield _command(configure_instrument=configure)
    for entry in content.get("fee_schedules", ()):
        yield _command(set_fee_schedule=_fee_schedule(entry))
    for entry in content.get("accounts", ()):
        yield from _account(entry, listed)
    for number, entry in enumerate(content.get("limits", ()), 1):
        scope = {name: entry.get(name, "") for name in ("account", "symbol")}
        yield _limits({**scope, "request_id": f"genesis-limits-{number}"}, _without(entry, scope))


def _command(**body: Any) -> wire.Command:
    return wire.Command(actor=ACTOR, **body)


def _instrument(entry: Entry) -> wire.ListInstrument:
    expiry = str(entry.get("expiry_date", "0")).replace("-", "")
    return wire.ListInstrument(
        symbol=entry["symbol"],
        asset_class=_enum(types.AssetClass, "ASSET_CLASS_", entry["asset_class"]),
        currency=entry["currency"],
        tick_size_nano=parse_nano(entry["tick_size"]),
        lot_size_nano=parse_nano(entry["lot_size"]),
        multiplier=entry.get("multiplier", 1),
        description=entry.get("description", ""),
        base_currency=entry.get("base_currency", ""),
        expiry_date=int(expiry),
        strike_nano=parse_nano(entry.get("strike_price", "0")),
        option_right=entry.get("option_right", ""),
        trading_session=_enum(types.TradingSession, "TRADING_SESSION_", entry.get("trading_session", "UNSPECIFIED")),
    )


def _fee_schedule(entry: Entry) -> wire.SetFeeSchedule:
    name = entry["fee_schedule"]
    return wire.SetFeeSchedule(
        fee_schedule=name,
        request_id=f"genesis-fees-{name}",
        maker_ppm=entry.get("maker_ppm", 0),
        taker_ppm=entry.get("taker_ppm", 0),
        lot_micro=_micro(entry.get("lot", "0")),
    )


def _account(entry: Entry, listed: Listed) -> Iterator[wire.Command]:
    account = entry["account"]
    yield _command(open_account=wire.OpenAccount(account=account))
    if mask := _given(entry, ACCOUNT_SETTINGS):
        changed = {name: entry[name] for name in mask}
        configure = wire.ConfigureAccount(account=account, request_id="genesis-settings", update_mask=mask, **changed)
        yield _command(configure_account=configure)
    for currency, amount in entry.get("cash", {}).items():
        cash = wire.AdjustCash(
            account=account,
            currency=currency,
            amount_micro=_micro(amount),
            request_id=f"genesis-{currency}",
        )
        yield _command(adjust_cash=cash)
    for symbol, held in entry.get("positions", {}).items():
        instrument = listed[symbol]
        position = wire.AdjustPosition(
            account=account,
            symbol=symbol,
            qty_lots=_whole(parse_nano(held["qty"]), instrument.lot_size_nano, held["qty"]),
            price_ticks=_whole(parse_nano(held["price"]), instrument.tick_size_nano, held["price"]),
            request_id=f"genesis-{symbol}",
        )
        yield _command(adjust_position=position)
    if "limits" in entry:
        yield _limits({"account": account, "request_id": "genesis-limits"}, entry["limits"])


def _limits(scope: Entry, given: Entry) -> wire.Command:
    """The command that sets the limits that an entry gives, and leaves all others.

    Raises:
        KeyError: there is no such limit.
    """
    values = {}
    for name, value in given.items():
        field, read = _LIMITS[name]
        values[field] = read(value)
    return _command(set_limits=wire.SetLimits(**scope, update_mask=list(values), limits=wire.Limits(**values)))


def _without(entry: Entry, names: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name not in names}


def _given(entry: Entry, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in entry]


def _enum(enum: Any, prefix: str, word: str) -> Any:
    return enum.Value(f"{prefix}{word}")


def _micro(amount: str) -> int:
    return _whole(parse_nano(amount), NANO_PER_MICRO, amount)


def _whole(value_nano: int, step_nano: int, text: str) -> int:
    steps, rest = divmod(value_nano, step_nano)
    if rest:
        raise ValueError(f"{text} is not a multiple of {cast(float, step_nano) / NANO}")
    return steps


def _as_it_is(value: Any) -> Any:
    return value


_LIMITS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{
        name: (name, _as_it_is)
        for name in (
            "order_qty_lots",
            "price_collar_bps",
            "message_rate",
            "repeated_executions",
            "position_lots",
            "restricted",
        )
    },
    **{
        name: (f"{name}_micro", _micro)
        for name in ("order_notional", "daily_loss", "open_notional", "gross_position", "basket_notional")
    },
    # Seconds are decimals: units of 10^-9 are nanoseconds.
    **{f"{name}_s": (f"{name}_ns", parse_nano) for name in ("reference_age", "duplicate_window", "repeated_window")},
}
"""What a limit is called in the file; its field in the command, and how it is read."""
