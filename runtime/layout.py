"""Pieces of protobuf bytes, for the few messages that are made for every order.

A message object for each costs more than all the work behind it, so their
bytes are laid out directly: numbers of fixed width by `struct`, texts by the
functions here. Tags are written out where they are used: field number << 3 |
wire type (0 varint, 1 fixed 64 bits, 2 bytes); from field 16 on they have two
bytes. Every layout is held against its generated class by a test. Pure.
"""

from functools import lru_cache

TEXTS_MAX = 65_536
_VARINT_1_MAX, _VARINT_2_MAX = 0x7F, 0x3FFF
_SMALL = tuple(
    bytes((n,)) if n <= _VARINT_1_MAX else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(_VARINT_2_MAX + 1)
)


def varint(number: int) -> bytes:
    """A number from 0 up as a varint."""
    if number <= _VARINT_2_MAX:
        return _SMALL[number]
    encoded = bytearray()
    while number > _VARINT_1_MAX:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def text(tag: bytes, value: str) -> bytes:
    """A string field."""
    data = value.encode()
    return tag + varint(len(data)) + data


@lru_cache(maxsize=TEXTS_MAX)
def repeated_text(tag: bytes, value: str) -> bytes:
    """A string field whose value comes again and again: an account, a symbol, a price."""
    return text(tag, value)


def nested(tag: bytes, parts: list[bytes]) -> bytes:
    """A message field that consists of `parts`."""
    body = b"".join(parts)
    return tag + varint(len(body)) + body


def number(tag: bytes, value: int) -> bytes:
    """A number from 0 up as a varint field."""
    return tag + varint(value)
