"""How commands write: tables for people, one JSON object per line for programs, plain lines for pipes."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

Row = Sequence[object]


def console() -> Console:
    """The console of standard output, as it is now; wide enough for a table when it is not a terminal."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200)


def as_dict(message: Message) -> dict[str, Any]:
    """A message with the field names of the contract; int64 are strings, as in ProtoJSON."""
    fields: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields


def write_json(value: Message | dict[str, Any]) -> None:
    """One JSON object on one line."""
    fields = as_dict(value) if isinstance(value, Message) else value
    click.echo(json.dumps(fields, separators=(",", ":")))


def write_table(title: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """A table; columns whose name ends in `>` are numbers."""
    console().print(make_table(title, columns, rows))


def make_table(title: str, columns: Sequence[str], rows: Iterable[Row]) -> Table:
    """A table that can also be shown live."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        min_width=len(title),
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table


def write_fields(title: str, fields: Iterable[tuple[str, object]]) -> None:
    """One record, a field per line."""
    write_table(title, ("", ""), fields)


def word(enum: Any, value: int, prefix: str) -> str:
    """The short form of an enum value: BUY for SIDE_BUY; empty when it was not given."""
    known = enum.DESCRIPTOR.values_by_number.get(value)
    name = known.name.removeprefix(prefix) if known else str(value)
    return "" if name == "UNSPECIFIED" else name


def clock_time(at: Timestamp) -> str:
    """A time of day in UTC with microseconds."""
    moment = datetime.fromtimestamp(at.seconds, UTC)
    return f"{moment:%H:%M:%S}.{at.nanos // 1000:06d}"
